"""A run: from the button to the curve, through the worker process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from napari.components import ViewerModel

from napari_sesami import Session
from napari_sesami.scan import Scan
from napari_sesami.viewer import workspace_of
from napari_sesami.viewer.runs.controller import RunsController
from napari_sesami.viewer.runs.planner import TrainingPlan
from tests.fakes.hops import Hops, tell

ROOT = Path(__file__).parents[2]
SOON = 120_000  # ms; a worker imports torch on a busy machine
# Today and a tenth more: lower them with each step towards 45 hops of a reader.
# The run's files are looked at oftener while a busy machine starts the worker.
# The noise that was fitted to the scans is read from the project: two more.
CALLS, ENTERED = 280, 116
FOLLOW = "from tests.fakes.hops import follow_process\nfollow_process({!r})\n"


def labelled(project: Path) -> Session:
    """A session with eight objects of two classes."""
    image = np.full((128, 160), 40, np.uint8)
    places = [(y, x) for y in range(8, 120, 28) for x in range(8, 80, 36)]
    for y, x in places:
        image[y : y + 16, x : x + 20] = 200
    session = Session(Scan.from_array(image, name="wafer"), project=project)
    for name in ("pad", "via"):
        session.classes.add(name)
    for n, (y, x) in enumerate(places):
        mask = np.zeros(image.shape, bool)
        mask[y : y + 16, x : x + 20] = True
        session.commit(mask, ("pad", "via")[n % 2])
    return session


def test_a_run_becomes_a_curve_in_few_calls(qtbot, tmp_path, monkeypatch):
    start, told = tmp_path / "start", tmp_path / "worker"
    start.mkdir()
    # Python imports it before anything else, so that the whole worker is followed.
    (start / "sitecustomize.py").write_text(FOLLOW.format(str(told)))
    paths = (str(start), str(ROOT), str(ROOT / "src"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.syspath_prepend(str(ROOT))
    hops, viewer = Hops(), ViewerModel()
    with hops.listen():
        workspace = workspace_of(viewer)
        workspace.take(labelled(tmp_path / "lab.sesami"))
        controller = workspace.get(RunsController)
        qtbot.waitUntil(lambda: not controller.jobs.busy, timeout=SOON)
        plan = TrainingPlan("tests.fakes.tiny_recipe:Tiny", steps=20)
        curve = []

        def drawn() -> bool:
            run = controller.selected
            if run is None or run.status.state != "finished":
                return False
            curve[:] = run.curve("loss")[0]
            return True

        try:
            with hops.count():
                controller.start(plan)
                qtbot.waitUntil(drawn, timeout=SOON)
            controller.selected.wait(60)
        finally:
            workspace.close()
    assert len(curve) == 20
    calls, entered = tell("run", [*hops.names, *told.read_text("utf-8").splitlines()])
    assert calls <= CALLS
    assert entered <= ENTERED
