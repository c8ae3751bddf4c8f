"""A session trains a segmenter, adopts it, asks it, and rolls it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest
from tests.fakes.semi_help import CLASSES, ENCODER, picture

from napari_sesami.scan import Scan
from napari_sesami.session import Session, SessionError
from napari_sesami.train import TrainError
from napari_sesami.worklist import WorklistEngine

if TYPE_CHECKING:
    from pathlib import Path

SMALL: dict[str, Any] = {
    "encoder": ENCODER, "width": 16, "crop": 48, "steps": 2, "device": "cpu",
}  # fmt: skip


def scan(seed: int) -> Scan:
    pixels = (picture(seed).grey >> 8).astype(np.uint8)
    return Scan.from_array(
        pixels, name=f"scan {seed}", pixel_size=(1.0, 1.0), units=("nm", "nm"),
        modality="TEM",
    )  # fmt: skip


def labelled(seed: int, project: Path | None = None) -> Session:
    s = Session(scan(seed), project)
    for name in CLASSES.values():
        s.classes.add(name)
    s.document.labels.write(picture(seed).classes)
    return s


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scans")
    for i in range(4):
        pixels = (picture(100 + i).grey >> 8).astype(np.uint8)
        iio.imwrite(place / f"wafer{i}.png", pixels)
    return place


def test_a_segmenter_is_trained_adopted_asked_and_rolled_back(
    folder: Path, tmp_path: Path
):
    home = tmp_path / "wafers.sesami"
    s = labelled(0, home)
    run = s.train("semi", unlabelled=folder, preset="ours", warm_up=0.0, **SMALL)
    assert run.wait(240).state == "finished", run.status.sentence
    assert any(key.startswith("accepted ") for key in run.logged)
    verdict = s.runs.judge(run)
    assert {row["class"] for row in verdict.rows} >= {"metal"}
    assert "labels by retrieval" in verdict.sentence
    if not verdict.wins:  # two steps teach nothing
        with pytest.raises(SessionError, match="insist"):
            s.runs.adopt(run)
    assert s.queue.source is None and not s.runs.can_roll_back(run)
    s.runs.adopt(run, insist=True)
    assert s.runs.uses(run) and s.segmenters.active is not None
    assert s.segmenters.active.parent == home / "segmenters"
    found = s.segmenters.segment(planes=[0])
    assert found.votes.shape == (1, 64, 64, 2) and found.labels.shape == (1, 64, 64)
    heat = s.queue.score_maps(0, ("margin", "entropy"))
    assert heat["margin"].shape == (64, 64) and np.isfinite(heat["entropy"]).all()
    later = s.runs.config("semi", preset="supervised")
    assert later.recipe_options.rival == str(s.segmenters.active), "what is to beat"
    s.save()
    s.close()
    s = Session(scan(0), home)
    assert s.segmenters.active is not None
    np.testing.assert_array_equal(s.segmenters.plane(0).votes, found.votes[0])
    s.segmenters.roll_back()
    assert s.segmenters.active is None and s.queue.source is None
    with pytest.raises(SessionError, match="adopt"):
        s.segmenters.plane(0)
    s.segmenters.use(run.folder)  # a run's folder will do
    s.save()
    s.close()
    with WorklistEngine(home, folder) as engine:
        assert engine.open().segmenters.active is not None
        proposed, source = engine.proposer.compute(
            engine.session
        )  # nobody accepted yet
        assert source.taught_by == 0 and source.model
        assert all(m.class_id in CLASSES for m in proposed)


def test_what_is_missing_is_a_sentence(folder: Path, tmp_path: Path):
    s = labelled(0)
    with pytest.raises(TrainError, match="unlabelled='folder'"):
        s.train("semi", **SMALL)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TrainError, match="empty"):
        s.train("semi", unlabelled=empty, **SMALL)
    with pytest.raises(TrainError, match="did you mean “preset”"):
        s.train("semi", unlabelled=folder, presets="ours", **SMALL)
    with pytest.raises(TrainError, match="judge the run"):
        s.train("semi", unlabelled=[s.scan], **SMALL)
    with pytest.raises(TrainError, match="Nothing is labelled"):
        Session(scan(1)).train("semi", unlabelled=folder, **SMALL)


def test_surroundings_of_what_is_labelled_are_not_nothing():
    s = Session(Scan.from_array(np.random.default_rng(0).random((64, 64))))
    for name in CLASSES.values():
        s.classes.add(name)
    part = np.zeros((64, 64), np.uint8)
    part[10:40, 10:40] = picture(0).classes[10:40, 10:40]
    s.document.labels.write(part)
    found = s.runs.teachers()
    known = sum(int((p.classes != 255).sum()) for p in found.pictures)
    assert known <= 30 * 30
