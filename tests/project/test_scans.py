from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_sesami.project import Project, ProjectError, ScanMoved
from napari_sesami.scan import Scan, open_scan
from napari_sesami.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    tifffile.imwrite(path, rng.integers(0, 255, (40, 50), dtype=np.uint8))
    return path


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with a scan, its project with one stroke, and another scan."""
    write(tmp_path / "wafer.tif", 1)
    write(tmp_path / "other.tif", 2)
    with Session(tmp_path / "wafer.tif", tmp_path / "w.sesami") as s:
        s.classes.add("oxide")
        s.paint(np.eye(40, 50, dtype=int))
        s.save()
    return tmp_path


def test_a_scan_is_known_again_by_its_content(lab: Path) -> None:
    with Session.open(lab / "w.sesami", "wafer") as s:
        assert s.strokes.sum() == 40
        assert s.scan.path == lab / "wafer.tif"
    with Session(write(lab / "copy.tif", 1), lab / "w.sesami") as s:
        assert s.strokes.sum() == 40
        assert s.document.project is not None
        assert len(s.document.project.scans) == 1


def test_a_project_moved_together_with_its_scan_opens(
    lab: Path, tmp_path: Path
) -> None:
    new = tmp_path / "elsewhere"
    new.mkdir()
    shutil.move(lab / "w.sesami", new / "w.sesami")
    shutil.move(lab / "wafer.tif", new / "wafer.tif")
    with Session.open(new / "w.sesami") as s:
        assert s.scan.path == new / "wafer.tif"


def test_a_moved_scan_is_asked_for_and_remembered(lab: Path) -> None:
    shutil.move(lab / "wafer.tif", lab / "renamed.tif")
    with Project.open(lab / "w.sesami") as project:
        (entry,) = project.missing()
        with pytest.raises(ScanMoved, match="say where it is now") as caught:
            project.open_scan()
        assert caught.value.path == lab / "wafer.tif"
        assert caught.value.content_hash == entry.content_hash
        assert caught.value.key == entry.key
        found = project.open_scan(locate={entry.key: lab / "renamed.tif"})
        assert found.path == lab / "renamed.tif"
    with Project.open(lab / "w.sesami") as project:
        assert project.missing() == ()
        assert project.open_scan().path == lab / "renamed.tif"


def test_a_function_may_say_where_the_scan_is(lab: Path) -> None:
    shutil.move(lab / "wafer.tif", lab / "renamed.tif")
    with Project.open(lab / "w.sesami", locate=lambda e: lab / "renamed.tif") as p:
        assert p.open_scan("wafer").shape == (40, 50)


def test_declining_to_say_is_a_moved_scan_still(lab: Path) -> None:
    (lab / "wafer.tif").unlink()
    with Project.open(lab / "w.sesami", locate=lambda e: None) as project:
        with pytest.raises(ScanMoved):
            project.open_scan()


def test_another_file_is_refused(lab: Path) -> None:
    (lab / "wafer.tif").unlink()
    with Project.open(lab / "w.sesami") as project:
        with pytest.raises(ProjectError, match=r"other\.tif is not the scan 'wafer'"):
            project.open_scan(locate={"wafer": lab / "other.tif"})


def test_a_file_whose_pixels_changed_is_refused(lab: Path) -> None:
    write(lab / "wafer.tif", 3)
    with pytest.raises(ProjectError, match="other pixels"):
        Session(lab / "wafer.tif", lab / "w.sesami")
    with Project.open(lab / "w.sesami") as project, pytest.raises(ProjectError):
        project.open_scan()


def test_a_scan_made_of_an_array_must_be_handed_over_again(tmp_path: Path) -> None:
    array = np.arange(100, dtype=np.uint8).reshape(10, 10)
    with Session(array, tmp_path / "a.sesami") as s:
        s.classes.add("oxide")
        s.paint(np.ones((10, 10), int))
    with Project.open(tmp_path / "a.sesami") as project:
        with pytest.raises(ScanMoved, match="made from an array"):
            project.open_scan()
        assert Session(array, project).strokes.sum() == 100


def test_an_entered_pixel_size_comes_back(lab: Path) -> None:
    with Session.open(lab / "w.sesami") as s:
        assert s.scan.pixel_size == (None, None)
        s.document.set_pixel_size(0.5, "nm")
        assert s.scan.pixel_size == (0.5, 0.5)
        s.undo()
        assert s.scan.pixel_size == (None, None)
        s.history.redo()
    with Session(lab / "wafer.tif", lab / "w.sesami") as s:
        assert s.scan.pixel_size == (0.5, 0.5)
        assert s.scan.units == ("nm", "nm")


def test_a_pixel_size_given_by_script_is_remembered(lab: Path) -> None:
    scan = open_scan(lab / "wafer.tif").with_pixel_size(2.0, "µm")
    Session(scan, lab / "w.sesami").close()
    with Session.open(lab / "w.sesami") as s:
        assert s.scan.pixel_size == (2.0, 2.0)


def test_scans_of_one_project_share_classes(lab: Path) -> None:
    with Project.open(lab / "w.sesami") as project:
        first = Session.open(project, "wafer")
        second = Session(lab / "other.tif", project)
        assert second.classes.names == ("oxide",)
        second.classes.add("void")
        assert first.classes.names == ("oxide", "void")
        second.undo()
        assert first.classes.names == ("oxide",)
        assert not first.history.can_undo
        second.classes.remove("oxide")
        assert first.strokes.max() == 0
    with Session.open(lab / "w.sesami") as s:
        assert s.strokes.max() == 0


def test_pixels_of_a_class_removed_elsewhere_are_nothing(lab: Path) -> None:
    with Project.open(lab / "w.sesami") as project:
        project.classes.remove("oxide")
        project.classes.add("void")
    with Session.open(lab / "w.sesami") as s:
        assert s.strokes.max() == 0
        assert s.classes.ids == (2,)


def test_opening_a_scan_twice_hands_its_work_over(lab: Path) -> None:
    with Project.open(lab / "w.sesami") as project:
        first = Session.open(project)
        first.paint(np.eye(40, 50, 1, dtype=int))
        second = Session.open(project)
        np.testing.assert_array_equal(first.strokes, second.strokes)
        with pytest.raises(ProjectError, match="opened again"):
            first.paint(np.ones((40, 50), int))
        second.undo()
        assert second.strokes.sum() == 40


def test_unknown_scans_are_named(lab: Path) -> None:
    with Project.open(lab / "w.sesami") as project:
        with pytest.raises(ProjectError, match="it has wafer"):
            project.open_scan("wafer13")
        with pytest.raises(ProjectError, match="no scan 1"):
            project.entry(1)


def test_a_volume_keeps_axes_and_leading_shape(tmp_path: Path) -> None:
    scan = Scan.from_array(np.zeros((2, 3, 8, 9), np.uint16), axes=("t", "z", "y", "x"))
    with Session(scan, tmp_path / "v.sesami") as s:
        s.classes.add("void")
        s.paint(np.ones((8, 9), int), plane=(1, 2))
        s.save()
    with Session(scan, tmp_path / "v.sesami") as s:
        assert s.strokes.shape == (2, 3, 8, 9)
        assert s.strokes[1, 2].all()
        assert s.strokes.planes == [5]


def test_steps_after_a_removed_class_survive_a_crash(lab: Path) -> None:
    """Whether the class was removed here or in another scan of the project."""
    with Project.open(lab / "w.sesami") as project:
        project.classes.add("void")
        project.classes.add("metal")
        session = Session.open(project)
        session.classes.remove("oxide")
        project.classes.remove("void")
        session.paint(np.eye(40, 50, dtype=int) * 3)
    for _ in range(2):
        with Session.open(lab / "w.sesami") as s:
            assert np.unique(s.strokes).tolist() == [0, 3]
            assert s.undo() == "paint"
            assert s.undo() is None
            assert s.history.redo() == "paint"
