"""The page "Measure" without a window: what it does is what a script does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_sesami as sesami
from napari_sesami.lab.metrology.scenes import fins
from napari_sesami.measure import Recipe, load_results, measure
from napari_sesami.scan import save_labels
from napari_sesami.viewer.app.errors import ViewerError
from napari_sesami.viewer.app.workspace import Workspace
from napari_sesami.viewer.measure.controller import MeasureController


class Now:
    """Hands results over at once."""

    def post(self, function, *arguments):
        function(*arguments)


class AtOnce:
    """A job that is done when it is asked for."""

    ended, cancelled = "", False

    def report(self, *_):
        """Tell nobody."""


def at_once(topic, run, done=None, *_, **__):
    """Run what measures where it is asked for, and nothing else."""
    job = AtOnce()
    if topic == "measure":
        result = run(job)
        job.ended = "done"
        done(result)
    return job


@pytest.fixture(scope="module")
def drawn():
    return fins(1, count=4).noisy(4.0, 1)


@pytest.fixture
def page(drawn, qapp):
    """A controller on a session whose labels are exact."""
    viewer = ViewerModel()
    workspace = Workspace(viewer, caller=Now())
    workspace.jobs.submit = at_once
    session = workspace.start(drawn.scan()).session
    for name, id_ in drawn.classes.items():
        entry = session.classes.add(name)
        session.objects.commit(drawn.labels == id_, entry.name)
    yield workspace.get(MeasureController)
    workspace.close()


def bits(rows):
    return [
        (r.measurement, r.number, r.at, r.zone, r.statistic, repr(r.value), repr(r.U))
        for r in rows
    ]


def test_page_script_and_files_give_the_same_bits(page, drawn, tmp_path):
    page.choose_kind("cd")
    page.pick("silicon")
    page.choose_kind("height")
    page.pick("silicon")
    page.change("silicon cd", window=0.3)  # measured live
    session = page.session
    ids = {c.name: c.id for c in session.classes}
    page.save(tmp_path / "recipe.toml")
    recipe = Recipe.load(tmp_path / "recipe.toml")
    script = measure(session.scan, np.asarray(session.labels), ids, recipe)
    assert bits(page.rows) == bits(script.rows) == bits(session.measurements.measure())
    assert {r.status for r in page.rows} == {"ok"}
    page.save(tmp_path / "values.csv")
    page.save(tmp_path / "values.json")
    assert bits(load_results(tmp_path / "values.json").rows) == bits(page.rows)
    table = (tmp_path / "values.csv").read_text("utf-8-sig").splitlines()
    assert len(table) == len(page.rows) + 1
    # and the command line, from files
    from napari_sesami.cli import main

    scan = sesami.open(_saved(drawn, tmp_path))
    again = measure(scan, drawn.labels, drawn.classes, recipe)
    out = tmp_path / "out"
    arguments = ["measure", str(tmp_path / "recipe.toml"), str(scan.path), "-o", out]
    assert main([str(a) for a in arguments]) == 0
    assert bits(load_results(out).rows) == bits(again.rows)


def _saved(drawn, folder):
    import tifffile

    path = folder / "fins.tif"
    scan = drawn.scan()
    tifffile.imwrite(path, np.asarray(scan.data), metadata={"axes": "YX"})
    save_labels(
        drawn.labels.astype(np.uint8), folder / "fins_labels.ome.tif", like=scan,
        classes=[_named(n, i) for n, i in drawn.classes.items()],
    )  # fmt: skip
    return path


def _named(name, id_):
    from napari_sesami.project import ClassEntry

    return ClassEntry(id_, name, "#808080")


def test_a_drag_is_one_step_and_labels_are_followed_where_they_changed(page):
    page.choose_kind("cd")
    page.pick("silicon")
    row = next(k for k, r in enumerate(page.rows) if r.number == 2)
    page.tools.use("move")
    assert page.pointing
    layer = page.layers.lines
    assert page.workspace.viewer.layers.selection.active is layer
    y, x = page.rows[row].geometry.lines[0].mean(0)
    reach = page.layers.reach(8)
    assert page.layers.nearest(y + 0.3, x, reach) == row
    before = page.rows[row].value
    for step in (1, 2, 3):
        r = next(r for r in page.rows if r.number == 2)
        page.tools.drag(r, (y, x), (y + step, x), key=9)
    assert page.recipe.measure[0].at[0] > 0.5
    assert page.rows[row].value != before and page.took > 0
    assert len(page.layers.lines.data) == 4 and len(page.layers.edges.data) == 8
    assert list(page.layers.lines.features["text"])[row].endswith("nm")
    # each number nine times: eight dark ones about it, so that it reads on any label
    texts = page.layers.texts
    words = [w for w in page.layers.lines.features["text"] if w]
    assert list(texts.features["text"]) == 9 * words
    last = texts.data[-len(words) :].mean(0)
    assert np.allclose(texts.data[: -len(words)].mean(0), last)
    page.session.undo()
    assert page.recipe.measure[0].at == (0.5,)
    assert page.rows[row].value == before
    page.session.undo()
    assert not page.rows and not len(page.layers.lines.data)
    page.session.history.redo()
    values = {r.number: r.value for r in page.rows}
    f = page.live.work.features("silicon")[1]
    bite = np.zeros(page.session.scan.plane_shape, bool)
    middle = (f.box[0] + f.box[2]) // 2
    bite[middle : middle + 3, f.box[1] : f.box[1] + 2] = True
    page.session.commit(bite, "oxide")
    page._follow_labels()
    assert page.live.anew == 1 and not page.live.settled
    now = {r.number: r.value for r in page.rows}
    assert {n for n, v in values.items() if v != now[n]} <= {0, 2}
    page.measure_now()
    assert page.live.settled


def test_a_caliper_snaps_to_the_edges_and_follows_its_anchor(page):
    page.choose_kind("cd")
    page.pick("silicon")
    width = {r.number: r.value for r in page.rows if r.number}
    f = page.live.work.features("silicon")[0]
    row = (f.box[0] + f.box[2]) / 2
    ends = [[row, f.box[1] - 4.0], [row, f.box[3] + 3.0]]
    free = page.tools.add_caliper(ends)
    found = [r for r in page.rows if r.measurement == free and r.statistic == "value"]
    assert len(found) == 1 and abs(found[0].value - width[1]) < 3 * found[0].U + 0.1
    page.anchor = "silicon"
    tied = page.tools.add_caliper(ends)
    found = [r for r in page.rows if r.measurement == tied and r.statistic == "value"]
    assert {r.number for r in found} == set(width)
    assert all(abs(r.value - width[r.number]) < 0.6 for r in found)
    page.tools.drag(found[0], (row, f.box[1] - 4.0), (row, f.box[1] - 1.0), key=3)
    moved = next(m for m in page.recipe.measure if m.name == tied)
    assert moved.ends[0][1] > 0 or moved.ends != found


def test_the_recipe_is_part_of_the_project(page, tmp_path):
    page.choose_kind("pitch")
    page.pick("silicon")
    session = page.session
    session.save(tmp_path / "fins.sesami")
    page.change("silicon pitch", window=0.25)
    text = session.measurements.recipe.to_toml()
    session.close()  # the last step is in the journal only
    again = sesami.Session(session.scan, project=tmp_path / "fins.sesami")
    assert again.measurements.recipe.to_toml() == text
    again.undo()
    assert again.measurements.recipe.measure[0].window == 0.1
    again.close()


def test_filters_copies_and_sentences(page):
    with pytest.raises(ViewerError, match="Nothing is measured"):
        page.results()
    page.choose_kind("thickness")
    page.pick("silicon")
    assert page.picked == ["silicon"]  # a film lies between two classes
    page.choose_kind("cd")
    page.pick("silicon")
    first = page.rows[0]
    page.change("silicon cd", limits={"upper": first.value - 10 * first.U})
    page.filter("ok", "fail")
    assert 0 in page.shown and len(page.shown) < len(page.rows) + 1
    lines = page.table().splitlines()
    assert lines[0].split("\t")[:2] == ["measurement", "zone"]
    assert len(lines) == len(page.shown) + 1
    page.filter("none", "")
    assert page.shown == []
    page.jump(0)
    assert page.chosen == 0 and page.focus == "silicon cd"
    page.remove("silicon cd")
    assert not page.rows
    assert json.loads(json.dumps(page.recipe.to_toml())) == Recipe().to_toml()
