"""Measuring drawn scenes: values, statuses, units, invariances."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_sesami.common.cancel import Cancelled
from napari_sesami.lab.metrology.drawn import Shape, draw, wavy
from napari_sesami.lab.metrology.scenes import (
    fins,
    holes,
    lines_with_psd,
    nanosheets,
    planar_films,
    sem_lines,
    trapezoid,
)
from napari_sesami.measure import MeasureError, Recipe, Site, Work, measure, results_of
from napari_sesami.scan import Scan

HEAD = 'format = "sesami-measure"\nversion = 1\n'


def recipe(*quantities, feature='class = "silicon"', head="", **more):
    text = HEAD + head + f"[features.it]\n{feature}\n"
    for kind in quantities:
        text += f'[[measure]]\nname = "{kind}"\nkind = "{kind}"\nfeature = "it"\n'
        text += "".join(f"{name} = {value}\n" for name, value in more.items())
    return Recipe.loads(text)


def values(results, name):
    return np.array([r.value for r in results[name] if r.statistic == "value"])


FINS = recipe("cd", "height", "angle", "pitch")


def test_fins_are_measured_below_a_pixel():
    drawn = fins(3).noisy(3.0, 1)
    r = measure(drawn.scan(0.5), drawn.labels, drawn.classes, FINS)
    cd = values(r, "cd").reshape(3, 5).T
    assert np.abs(cd - 0.5 * drawn.truth["cd"]).max() < 0.2  # nm, half a pixel is 0.25
    assert np.abs(values(r, "height") - 0.5 * drawn.truth["height"]).max() < 0.2
    assert values(r, "pitch") == pytest.approx(
        0.5 * np.diff(drawn.truth["middle"]), abs=0.15
    )
    mean = [x.value for x in r["angle"] if x.zone == "mean" and x.statistic == "value"]
    assert mean == pytest.approx(drawn.truth["angle"], abs=0.4)
    assert {x.unit for x in r["cd"]} == {"nm"}
    assert "nm (k = 2" in r.summary() and "not included" in r.summary()


def test_labels_say_where_to_look_not_where_the_edge_is():
    drawn = fins(4).noisy(2.0, 2)
    exact = measure(drawn.scan(1.0), drawn.labels, drawn.classes, FINS)
    for shift in (-1.5, 1.5):
        labels = wavy(drawn.labels, 5, shift)
        moved = measure(drawn.scan(1.0), labels, drawn.classes, FINS)
        pairs = [
            (a.value, b.value)
            for a, b in zip(exact["cd"], moved["cd"], strict=True)
            if a.status == b.status == "ok" and a.statistic == "value"
        ]
        assert len(pairs) >= 12
        difference = np.diff(pairs, axis=1).ravel()
        assert np.abs(difference).max() < 0.2
        assert abs(difference.mean()) < 0.05


def test_films_of_all_zones_and_their_ratio():
    drawn = nanosheets(1).noisy(4.0, 3)
    zones = '{ top = "north", bottom = "south", all = "all" }'
    r = measure(
        drawn.scan(1.0), drawn.labels, drawn.classes,
        recipe("thickness", zones=zones, between='["silicon", "film", "metal"]',
               report='["mean", "3s", "conformality"]'),
    )  # fmt: skip
    found = [x for x in r["thickness"] if x.statistic == "value"]
    assert len(found) == 9 and all(x.status == "ok" for x in found)
    assert [x.value for x in found] == pytest.approx([5.5] * 9, abs=0.15)
    ratio = [
        x for x in r["thickness"] if x.zone == "conformality" and x.statistic == "ratio"
    ]
    assert [x.value for x in ratio] == pytest.approx([1.0] * len(ratio), abs=0.04)
    assert ratio[0].unit == ""
    assert len(found[0].profile["thickness"]) == len(found[0].profile["s"]) >= 5


def test_a_film_too_thin_for_the_blur_has_no_number():
    drawn = planar_films(0, 1.3).noisy(3.0, 0)
    film = Recipe.loads(
        HEAD + '[[measure]]\nname = "t"\nkind = "thickness"\n'
        'between = ["silicon", "film", "metal"]\n'
    )
    row = measure(drawn.scan(), drawn.labels, drawn.classes, film)["t"][0]
    assert row.status == "too_thin"
    assert np.isnan(row.value) and not row.geometry.lines


def test_holes_and_what_simple_tools_make_of_them():
    drawn = holes(2, 10.0, 1.3, count=2).noisy(4.0, 2)
    it = recipe("diameter", "ellipticity", "area", feature='class = "hole"')
    r = measure(drawn.scan(1.0), drawn.labels, drawn.classes, it)
    assert values(r, "diameter") == pytest.approx([20.0] * 4, abs=0.15)
    assert values(r, "ellipticity") == pytest.approx([1.3] * 4, abs=0.03)
    assert values(r, "area") == pytest.approx([np.pi * 100] * 4, rel=0.01)
    assert r["area"][0].unit == "nm²"


def test_roughness_is_found_below_the_noise():
    drawn = lines_with_psd(1, lines=8, roughness=0.9).noisy(8.0, 1)
    it = recipe("lwr", "ler", feature='class = "line"\nkind = "line"')
    r = measure(drawn.scan(1.0), drawn.labels, drawn.classes, it)
    true = drawn.truth["right"] - drawn.truth["left"]
    t = np.linspace(-1, 1, true.shape[1])
    rest = true - true.mean(1, keepdims=True)
    rest = rest - np.outer(rest @ t / (t @ t), t)
    lwr = r.value("lwr", "3s")
    assert lwr.value == pytest.approx(3 * rest.std(), rel=0.12)
    assert r.value("lwr", "3s with noise").value > 1.02 * lwr.value
    assert len(lwr.profile["psd"]) == len(lwr.profile["fit"])


@pytest.mark.parametrize("edge", ["flank", "threshold", "peak", "model"])
def test_sem_edges_are_read_by_their_definition(edge):
    drawn = sem_lines(2).noisy(5.0, 2)
    it = recipe(
        "cd", feature='class = "line"\nkind = "line"', edge=f'"{edge}"', level=0.3
    )
    r = measure(drawn.scan(1.0), drawn.labels, drawn.classes, it)
    error = values(r, "cd") - drawn.truth["cd"]
    assert np.ptp(error) < 0.5, error  # the same offset for all lines of a picture
    low, high = {
        "flank": (0, 2.4), "threshold": (0.5, 4.5), "peak": (-7, -1),
        "model": (-0.3, 0.3),
    }[edge]  # fmt: skip
    assert low < error.mean() < high
    assert {x.edge for x in r["cd"]} == {edge}


def test_what_the_look_leaves_open_is_common_to_all_lines_of_a_sem_picture():
    it = recipe("cd", feature='class = "line"\nkind = "line"', edge='"model"')
    for seed in (3, 8):
        drawn = sem_lines(seed).noisy(6.0, seed)
        r = measure(drawn.scan(1.0), drawn.labels, drawn.classes, it)
        error = values(r, "cd") - drawn.truth["cd"]
        lines = [v for v in r["cd"] if v.statistic == "value"]
        (mean,) = (v for v in r["cd"] if v.statistic == "mean")
        assert all(abs(e) <= v.U for e, v in zip(error, lines, strict=True))
        assert error.std() < 3 * lines[0].budget.u("edge")
        # no mean makes what is common smaller
        assert mean.budget.u("offset") == pytest.approx(lines[0].budget.u("offset"))
        assert mean.budget.u("edge") < 0.7 * lines[0].budget.u("edge")


def test_pitch_walking_has_the_sign_built_in():
    for walk in (-1.6, 1.6):
        drawn = fins(5, count=7, walk=walk).noisy(2.0, 5)
        it = recipe("pitch walking", period=2)
        row = measure(drawn.scan(1.0), drawn.labels, drawn.classes, it).rows[0]
        pitches = np.diff(drawn.truth["middle"])
        true = pitches[::2].mean() - pitches[1::2].mean()
        assert abs(row.value - true) < 0.15
        assert np.sign(row.value) == np.sign(walk) or abs(true) < 0.3


def test_unknown_pixel_size_gives_pixels_and_no_verdict():
    drawn = fins(1).noisy(3.0, 1)
    limits = "{ lower = 1, upper = 100 }"
    known = measure(
        drawn.scan(1.0), drawn.labels, drawn.classes, recipe("cd", limits=limits)
    )
    r = measure(
        drawn.scan(unit=None), drawn.labels, drawn.classes, recipe("cd", limits=limits)
    )
    assert {x.unit for x in r} == {"px"}
    assert {x.status for x in r} == {"uncalibrated"}
    assert {x.verdict for x in r} == {""}
    assert {x.verdict for x in known if x.statistic == "value"} == {"pass"}
    assert values(r, "cd") == pytest.approx(values(known, "cd"), abs=1e-9)
    assert "nm" not in r.summary()


def test_units_pixel_sizes_and_limits_agree():
    drawn = fins(1).noisy(3.0, 1)
    in_nm = measure(drawn.scan(2.5, "nm"), drawn.labels, drawn.classes, FINS)
    in_um = measure(drawn.scan(0.0025, "µm"), drawn.labels, drawn.classes, FINS)
    assert values(in_nm, "cd") == pytest.approx(values(in_um, "cd"), rel=1e-9)
    assert values(in_nm, "angle") == pytest.approx(values(in_um, "angle"), rel=1e-9)


def test_pixels_that_are_not_square():
    shapes = [
        Shape("oxide", 60.0, lambda y, x: y),
        Shape("silicon", 120.0, trapezoid(40.0, 20.0, 80.0, 20.0, 26.0)),
    ]
    drawn = draw((80, 100), shapes, sigma=1.2, spacing=(1.25, 0.8)).noisy(2.0, 3)
    scan = Scan.from_array(drawn.image, pixel_size=(1.25, 0.8), units="nm")
    r = measure(scan, drawn.labels, drawn.classes, recipe("cd", "height", "angle"))
    assert values(r, "cd") == pytest.approx([20.6, 23.0, 25.4], abs=0.25)
    assert values(r, "height") == pytest.approx([60.0], abs=0.2)
    assert r["angle"][2].value == pytest.approx(
        90 - np.degrees(np.arctan(0.05)), abs=0.3
    )


def test_turned_mirrored_and_padded_pictures_give_the_same():
    drawn = fins(6).noisy(2.0, 6)
    base = measure(drawn.scan(1.0), drawn.labels, drawn.classes, FINS)
    mirrored = measure(
        Scan.from_array(drawn.image[:, ::-1], pixel_size=1.0, units="nm"),
        drawn.labels[:, ::-1], drawn.classes, FINS,
    )  # fmt: skip
    cd = values(base, "cd").reshape(3, 5)
    assert values(mirrored, "cd").reshape(3, 5)[:, ::-1] == pytest.approx(cd, abs=0.02)
    turned = measure(
        Scan.from_array(np.rot90(drawn.image).copy(), pixel_size=1.0, units="nm"),
        np.rot90(drawn.labels).copy(), drawn.classes,
        recipe("cd", head="frame = { axis = { angle = -90 } }\n"),
    )  # fmt: skip
    assert sorted(values(turned, "cd")) == pytest.approx(
        sorted(values(base, "cd")), abs=0.03
    )
    pad = ((7, 9), (11, 4))
    padded = measure(
        Scan.from_array(np.pad(drawn.image, pad, "edge"), pixel_size=1.0, units="nm"),
        np.pad(drawn.labels, pad, "edge"), drawn.classes, FINS,
    )  # fmt: skip
    assert values(padded, "cd") == pytest.approx(values(base, "cd"), abs=0.03)


def broken(case):
    drawn = fins(1, count=3).noisy(3.0, 1)
    image, labels = drawn.image.copy(), drawn.labels.copy()
    ignore = None
    if case == "constant":
        image[:] = 7
    elif case == "nan":
        image[:] = np.nan
    elif case == "no feature":
        labels[:] = 1
    elif case == "at the border":
        image, labels = image[:, 25:], labels[:, 25:]
    elif case == "one pixel":
        labels[:] = 1
        labels[40, 40] = 2
    elif case == "noise":
        image = np.random.default_rng(0).normal(100, 40, image.shape)
    elif case == "ignored":
        ignore = np.zeros(image.shape, bool)
        ignore[:, :50] = True
    scan = Scan.from_array(image, pixel_size=1.0, units="nm")
    if ignore is not None:
        from dataclasses import replace

        scan = replace(scan, ignore=ignore)
    return scan, labels, drawn.classes


@pytest.mark.parametrize(
    ("case", "statuses"),
    [
        ("constant", {"low_contrast"}),
        ("nan", {"not_found"}),
        ("no feature", set()),
        ("at the border", {"cut_off"}),
        ("one pixel", set()),
        ("noise", {"low_contrast", "mismatch", "ambiguous"}),
        ("ignored", {"cut_off"}),
    ],
)
def test_where_nothing_can_be_measured_there_is_no_number(case, statuses):
    everything = recipe(
        "cd", "height", "angle", "pitch", "diameter", "tilt", "bow", "space",
        "corner radius", "aspect ratio",
    )  # fmt: skip
    r = measure(*broken(case), everything)
    if case in ("at the border", "ignored"):
        bad = [x for x in r if x.number == 1 and x.feature]
        assert bad and {x.status for x in bad} == statuses
        assert any(x.status == "ok" for x in r)
    else:
        bad = list(r)
        found = {x.status for x in r if x.statistic == "value"}
        assert "ok" not in found and (not statuses or found & statuses)
    assert all(np.isnan(x.value) and np.isnan(x.U) for x in bad)
    r.to_frame(), r.summary()


def test_missing_classes_and_wrong_shapes_are_one_sentence():
    drawn = fins(1)
    with pytest.raises(MeasureError, match=r'"silicon".*did you mean'):
        measure(drawn.scan(), drawn.labels, {"silicn": 2}, FINS)
    with pytest.raises(MeasureError, match="do not fit"):
        measure(drawn.scan(), drawn.labels[:-1], drawn.classes, FINS)


def test_colour_and_volumes_are_measured_plane_by_plane():
    drawn = fins(2, count=3).noisy(2.0, 2)
    grey = values(measure(drawn.scan(1.0), drawn.labels, drawn.classes, FINS), "cd")
    rgb = Scan.from_array(
        np.stack([drawn.image] * 3, -1), pixel_size=(1.0, 1.0, None),
        units=("nm", "nm", None),
    )  # fmt: skip
    assert rgb.is_rgb
    coloured = values(measure(rgb, drawn.labels, drawn.classes, FINS), "cd")
    assert coloured == pytest.approx(grey, abs=1e-3)
    image = np.stack([drawn.image] * 4).reshape(2, 2, *drawn.image.shape)
    labels = np.zeros(image.shape, np.uint8)
    labels[1, 0] = drawn.labels
    four = Scan.from_array(
        image, axes=("t", "z", "y", "x"), pixel_size=(None, 1.0, 1.0, 1.0),
        units=(None, "nm", "nm", "nm"),
    )  # fmt: skip
    r = measure(four, labels, drawn.classes, FINS)
    assert {x.plane for x in r} == {2}
    assert values(r, "cd") == pytest.approx(grey, abs=1e-9)


def test_expected_counts_missing_are_failures():
    drawn = fins(2, count=4)
    it = recipe("cd", feature='class = "silicon"\nexpect = 5')
    r = measure(drawn.scan(), drawn.labels, drawn.classes, it)
    assert r.failures == ["drawn: 4 whole it instead of 5."]


def test_ten_thousand_specks_are_numbered_and_refused_in_seconds():
    labels = np.ones((800, 800), np.uint8)
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        labels[3 + y :: 8, 3 + x :: 8] = 2
    image = 60 + 60.0 * (labels == 2)
    scan = Scan.from_array(image, pixel_size=1.0, units="nm")
    start = time.process_time()
    it = recipe("diameter", feature='class = "speck"\nkind = "hole"')
    r = measure(scan, labels, {"host": 1, "speck": 2}, it)
    assert time.process_time() - start < 30
    rows = r["diameter"]
    assert len(rows) == 10_000 and {x.status for x in rows} == {"too_thin"}
    assert [x.number for x in rows] == list(range(1, 10_001))
    assert {(x.row, x.column) for x in rows} == set(np.ndindex(100, 100))
    assert all(np.isnan(x.value) for x in r)


def test_progress_and_cancel():
    drawn = fins(2, count=3)
    told = []
    measure(
        drawn.scan(), drawn.labels, drawn.classes, FINS,
        progress=lambda done, of: told.append((done, of)),
    )  # fmt: skip
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(Cancelled):
        measure(drawn.scan(), drawn.labels, drawn.classes, FINS, stop=lambda: True)


def test_the_same_numbers_bit_for_bit_and_features_alone():
    drawn = fins(7).noisy(3.0, 7)
    one = measure(drawn.scan(), drawn.labels, drawn.classes, FINS)
    two = measure(drawn.scan(), drawn.labels, drawn.classes, FINS)
    assert [(r.value, r.U) for r in one if r.has_value] == [
        (r.value, r.U) for r in two if r.has_value
    ]
    work = Work(Site(drawn.scan(), drawn.labels, drawn.classes), FINS)
    alone = results_of(work, FINS.measure[0], only={3})
    same = [r for r in one["cd"] if r.number == 3]
    assert [r.value for r in alone if r.number] == [r.value for r in same]


def test_ten_features_follow_a_handle_at_once():
    drawn = fins(8, count=10).noisy(3.0, 8)
    work = Work(Site(drawn.scan(), drawn.labels, drawn.classes), FINS)
    m = FINS.measure[0].model_copy(update={"at": (0.5,)})
    results_of(work, m)
    times = []
    for q in (0.4, 0.45, 0.55, 0.6):
        start = time.process_time()
        results_of(work, m.model_copy(update={"at": (q,)}))
        times.append(time.process_time() - start)
    assert min(times) < 0.15  # 0.05 s at rest; this machine may be busy


def test_geometry_is_in_pixels_and_in_lengths():
    drawn = fins(1, count=3).noisy(2.0, 1)
    row = measure(drawn.scan(0.5), drawn.labels, drawn.classes, FINS)["cd"][0]
    (a, b), g = row.geometry.lines[0], row.geometry
    assert g.scale == (0.5, 0.5) and g.unit == "nm"
    assert np.hypot(*((b - a) * g.scale)) == pytest.approx(row.value, abs=0.01)
    assert len(g.edges) == 2
    assert drawn.labels[int(a[0]), int(a[1]) + 3] == drawn.classes["silicon"]


def test_votes_add_what_a_value_does_with_its_labels():
    drawn = fins(1, count=3).noisy(4.0, 1)
    from scipy.ndimage import gaussian_filter

    shares = [gaussian_filter((drawn.labels == k).astype(float), 1.5) for k in (1, 2)]
    votes = np.stack(shares, -1)[None]
    r = measure(drawn.scan(), drawn.labels, drawn.classes, FINS, votes=votes)
    u = [x.budget.u("segmentation") for x in r["height"] if x.number]
    assert all(0 < v < 0.3 for v in u)
