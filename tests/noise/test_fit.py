"""Noise fitted to scans: what was drawn is found, what cannot be told is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from napari_sesami import noise
from napari_sesami.lab.tables.noise import SCENES, fit_rows, grey_of
from napari_sesami.noise import NoiseError, NoiseFit
from napari_sesami.scan import Scan


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def clean():
    """One scene of each modality, without noise."""
    names = ("TEM dram", "TEM beol", "SEM", "AOI")
    return {name: grey_of(SCENES[name](2))[:384, :384] for name in names}


def drawn(grey, *effects, seed: int = 0, top: int = 255) -> np.ndarray:
    image = noise.Chain(effects)(torch.from_numpy(grey)[None, None], seeded(seed)).image
    kind = np.uint8 if top == 255 else np.uint16
    return (image[0, 0].numpy() * top).round().astype(kind)


def counted(grey, electrons=600.0, read_out=5.0, *after, **how) -> np.ndarray:
    first = (noise.ShotNoise(electrons), noise.ReadOut(read_out, electrons))
    return drawn(grey, *first, *after, **how)


@pytest.fixture(scope="module")
def fits(clean):
    """Fits of all scenes and two doses, with what was true at brightness 1."""
    out = []
    for name, grey in clean.items():
        for electrons, read_out in ((300.0, 4.0), (1200.0, 8.0)):
            scan = Scan.from_array(counted(grey, electrons, read_out, seed=3))
            white = electrons * scan.normalisation.hi / 255
            out.append((name, white, read_out, noise.fit(scan)))
    return out


def test_dose_is_found_within_20_and_read_out_within_30_percent(fits):
    told = 0
    for name, electrons, read_out, fit in fits:
        assert fit.electrons is not None, (name, fit.notes)
        assert fit.electrons.value == pytest.approx(electrons, rel=0.2), name
        assert fit.electrons.low <= fit.electrons.value <= fit.electrons.high
        assert fit.grain.value == 0
        if fit.read_out is not None:
            told += 1
            assert fit.read_out.value == pytest.approx(read_out, rel=0.3), name
    assert told >= len(fits) - 2


def test_the_table_of_the_page_counts_what_was_told_and_what_was_refused():
    rows = list(fit_rows([0], ["SEM"], ["", "blur 0.7 px"]))
    assert [row.after for row in rows] == ["", "blur 0.7 px"] * 3
    assert all(abs(row.dose_error) < 0.2 for row in rows[::2])
    assert all(np.isnan(row.dose_error) for row in rows[1::2])


def test_sixteen_bits_colour_and_an_array_give_the_same_dose(clean):
    grey = clean["TEM beol"]
    short = noise.fit(counted(grey, top=65535))
    assert short.electrons.value == pytest.approx(600, rel=0.2)
    byte = counted(grey)
    colour = noise.fit(np.repeat(byte[..., None], 3, 2))
    assert colour.electrons.value == pytest.approx(
        noise.fit(byte).electrons.value, rel=0.02
    )
    hole = counted(grey).astype(np.float32) / 255
    hole[:64] = np.nan
    assert noise.fit(hole).electrons.value == pytest.approx(600, rel=0.2)


@pytest.mark.parametrize(
    ("after", "word"),
    [
        ((noise.Scintillator(0.5),), "smoothed"),
        ((noise.Scintillator(0.8),), "smoothed"),
        ((noise.Sharpen(1.0, 0.7),), "sharpened"),
    ],
)
def test_dose_is_refused_where_noise_was_changed_after_it_was_counted(
    clean, after, word
):
    for name in ("TEM beol", "SEM"):
        fit = noise.fit(Scan.from_array(counted(clean[name], 600.0, 5.0, *after)))
        assert fit.electrons is None
        assert fit.read_out is None
        assert any(word in note and "refused" in note for note in fit.notes), fit.notes


def test_noise_that_does_not_grow_with_brightness_gives_no_dose(clean):
    fit = noise.fit(Scan.from_array(drawn(clean["SEM"], noise.ReadOut(30.0, 600.0))))
    assert fit.electrons is None
    assert "does not grow" in fit.notes[0]


def test_scan_lines_and_curtains_are_told_and_clean_pictures_have_none(clean, fits):
    assert all(fit.lines.value < 0.01 for _, _, _, fit in fits)
    lines = noise.fit(
        Scan.from_array(
            drawn(clean["SEM"], noise.LineBanding(0.02, 40, 1.0), noise.ShotNoise(600))
        )
    ).lines
    assert lines.value == pytest.approx(0.02, rel=0.35)
    streaks = noise.Curtaining(0.06, 2.0, 6.0, everywhere=1.0)
    found = noise.fit(
        Scan.from_array(drawn(clean["TEM dram"], streaks, noise.ShotNoise(600)))
    )
    assert found.curtains.value > 0.008
    assert found.angle_deg == pytest.approx(6, abs=2)


def test_drawn_noise_is_fitted_as_what_it_was_drawn_from(clean):
    """A fit draws pictures that give the same fit again."""
    grey = clean["TEM beol"]
    first = noise.fit(counted(grey))
    again = first.draw(torch.from_numpy(grey)[None, None], seeded(5))
    second = noise.fit((again[0, 0].numpy() * 255).round().astype(np.uint8))
    assert second.electrons.value == pytest.approx(first.electrons.value, rel=0.15)
    soft = noise.fit(counted(grey, 600.0, 5.0, noise.Scintillator(0.7)))
    image = soft.draw(torch.from_numpy(grey)[None, None], seeded(5))[0, 0].numpy()
    third = noise.fit((image * 255).round().astype(np.uint8))
    assert third.grain.value == pytest.approx(soft.grain.value, rel=0.2)
    assert third.level(0.5) == pytest.approx(soft.level(0.5), rel=0.25)


def test_many_scans_give_a_range_and_say_what_was_left_out(clean):
    scans = [
        Scan.from_array(counted(clean["TEM beol"], dose, 6.0, seed=n))
        for n, dose in enumerate((300.0, 600.0, 1200.0))
    ]
    blank = Scan.from_array(np.full((256, 256), 7, np.uint8))
    fit = noise.fit([*scans, blank])
    assert fit.scans == 3
    assert fit.electrons.low < 400 < 900 < fit.electrons.high * 1.1
    assert any("1 of 4 scans" in note for note in fit.notes)
    assert any("electrons per white pixel" in line for line in fit.sentences())


BAD = {
    "constant": (lambda g: np.full((256, 256), 100, np.uint8), "one grey value"),
    "all NaN": (lambda g: np.full((256, 256), np.nan, np.float32), "Too few pixels"),
    "tiny": (lambda g: counted(g)[:100, :100], "128 × 128"),
    "no picture": (lambda g: np.zeros((4, 300, 300)), "this array has the shape"),
    "drawn": (
        lambda g: (ndi.gaussian_filter(g, 3) * 255).astype(np.uint8),
        "hardly any noise",
    ),
    "denoised": (
        lambda g: ndi.median_filter(ndi.gaussian_filter(counted(g), 2), 5),
        "hardly any noise",
    ),
    "clipped": (
        lambda g: np.where(counted(g) > 60, 255, 0).astype(np.uint8),
        "ends of the grey scale",
    ),
}


@pytest.mark.parametrize("which", BAD)
def test_pictures_without_noise_to_fit_are_refused_in_a_sentence(clean, which):
    make, words = BAD[which]
    with pytest.raises(NoiseError, match=words):
        noise.fit(make(clean["TEM beol"]))


def test_a_fit_travels_as_json_and_a_damaged_one_is_refused(fits):
    fit = fits[0][-1]
    assert NoiseFit.from_json(fit.to_json()) == fit
    stored = json.loads(fit.to_json())
    for key, value in (
        ("version", 9),
        ("growth", {"value": 1.0, "low": 0.0}),
        ("floor", {"value": -1.0, "low": 0.0, "high": 1.0}),
        ("scans", "many"),
        ("more", 1),
    ):
        with pytest.raises(NoiseError, match="fit it again"):
            NoiseFit.from_dict({**stored, key: value})
    with pytest.raises(NoiseError, match="no fitted noise"):
        NoiseFit.from_json("[")
    with pytest.raises(NoiseError):
        NoiseFit.from_json(fit.to_json().replace(str(fit.step), "NaN", 1))


def test_fitted_noise_takes_the_place_of_counting_noise_in_the_machine_set(fits):
    fit = fits[0][-1]
    images = torch.full((4, 1, 96, 96), 0.5)
    for instrument in noise.INSTRUMENTS:
        machine = noise.strong_sets(instrument, fitted=fit).machine
        kinds = [type(p.draw(noise.Dice(seeded(), 1.0))) for p in machine.parts]
        assert kinds.count(noise.FittedNoise) == 1
        assert not {noise.ShotNoise, noise.ReadOut, noise.LineBanding} & set(kinds)
        out = machine(images, None, None, seeded()).images
        assert torch.isfinite(out).all()
        assert out.std((1, 2, 3)).min() > 0.5 * fit.level(0.5)
