from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.project import Project, ProjectError, SaveError, disk
from napari_sesami.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

SCAN = np.arange(3 * 30 * 40, dtype=np.uint16).reshape(3, 30, 40)


def stroke(n: int) -> np.ndarray:
    plane = np.zeros((30, 40), int)
    plane[n % 30, : n + 2] = 1 + n % 2
    return plane


def begun(path: Path) -> Session:
    """A session with two classes, a saved stroke and a saved object."""
    s = Session(SCAN, path)
    s.classes.add("oxide")
    s.classes.add("void")
    s.paint(stroke(0), 0)
    s.commit(stroke(1) > 0, "void", 1)
    s.save()
    return s


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_only_planes_that_changed_are_written(tmp_path: Path) -> None:
    with begun(tmp_path / "p.sesami") as s:
        first = set(files(tmp_path / "p.sesami"))
        s.paint(stroke(2), 2)
        s.save()
        new = {f for f in set(files(tmp_path / "p.sesami")) - first if "npz" in f}
        assert new == {"strokes-000002-000002.npz"}


def test_planes_that_became_empty_and_old_files_go(tmp_path: Path) -> None:
    with begun(tmp_path / "p.sesami") as s:
        s.strokes.erase(stroke(0), 0)
        s.save()
        s.save()  # the state before is kept for one more save
        names = files(tmp_path / "p.sesami")
        assert not [f for f in names if f.startswith("strokes")]
        assert len([f for f in names if f.startswith("journal")]) == 0
        assert len([f for f in names if f.startswith("objects-") and "json" in f]) == 2


def test_unsaved_steps_come_back_and_can_be_undone(tmp_path: Path) -> None:
    s = begun(tmp_path / "p.sesami")
    s.paint(stroke(4), 2)
    s.classes.add("metal")
    with s.history.group("two"):
        s.paint(stroke(5), 2)
        s.paint(stroke(6), 2)
    s.undo()
    strokes = s.strokes.copy()
    s.close()
    with Session(SCAN, tmp_path / "p.sesami") as t:
        assert t.document.recovered == 4
        np.testing.assert_array_equal(t.strokes, strokes)
        assert t.history.redo() == "two"
        assert t.strokes.plane(2)[6].any()
        assert [t.undo() for _ in range(4)] == ["two", "add class metal", "paint", None]
        assert t.strokes.plane(2).max() == 0
        t.save()
    with Session(SCAN, tmp_path / "p.sesami") as t:
        assert t.document.recovered == 0
        assert t.classes.names == ("oxide", "void")


def test_a_damaged_state_falls_back_to_the_one_before(tmp_path: Path) -> None:
    s = begun(tmp_path / "p.sesami")
    s.paint(stroke(4), 2)
    s.save()
    s.paint(stroke(5), 2)
    strokes = s.strokes.copy()
    s.close()
    for name in ("state.json", "project.json"):
        (path,) = (tmp_path / "p.sesami").rglob(name)
        path.write_bytes(path.read_bytes()[:20])
    with Session(SCAN, tmp_path / "p.sesami") as t:
        np.testing.assert_array_equal(t.strokes, strokes)
        # the index before knew one class less; its pixels are no less there
        assert t.classes.names == ("oxide", "class 2")


def test_a_damaged_journal_brings_back_what_it_can_and_says_so(tmp_path: Path) -> None:
    with begun(tmp_path / "p.sesami") as s:
        s.paint(stroke(4), 2)
    with Session(SCAN, tmp_path / "p.sesami") as s:
        s.paint(stroke(5), 2)
    first, _ = sorted((tmp_path / "p.sesami").rglob("journal-*.log"))
    first.write_bytes(first.read_bytes()[:-5])
    with Project.open(tmp_path / "p.sesami") as project:
        heard: list[str] = []
        project.trouble.connect(heard.append)
        s = Session(SCAN, project)
        assert s.document.recovered == 0
        assert s.strokes.plane(0).any()
        assert not s.strokes.plane(2).any()
        assert "could not be brought back" in heard[0]
        s.paint(stroke(6), 2)
        now = s.strokes.array
    with Session(SCAN, tmp_path / "p.sesami") as s:
        np.testing.assert_array_equal(s.strokes, now)


def test_a_damaged_plane_is_named(tmp_path: Path) -> None:
    begun(tmp_path / "p.sesami").close()
    (path,) = (tmp_path / "p.sesami").rglob("strokes-*.npz")
    path.write_bytes(path.read_bytes()[:50])
    with Session(SCAN, tmp_path / "p.sesami") as t:
        with pytest.raises(ProjectError, match=f"{path.name} is missing or damaged"):
            t.strokes.plane(0)
        assert t.document.labels.plane(1).any()


class Trouble:
    """Lets the n-th write and all after it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.left, self.number = 0, number
        self._real = (os.write, os.open)
        self.armed = False
        monkeypatch.setattr(os, "write", self._write)
        monkeypatch.setattr(os, "open", self._open)

    def arm(self, left: int) -> None:
        self.left, self.armed = left, True

    def _count(self) -> None:
        if self.armed:
            self.left -= 1
            if self.left < 0:
                raise OSError(self.number, os.strerror(self.number))

    def _write(self, fd: int, data: bytes) -> int:
        self._count()
        return self._real[0](fd, data)

    def _open(self, path, flags, *args, **kwargs) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY):
            self._count()
        return self._real[1](path, flags, *args, **kwargs)


@pytest.mark.parametrize("left", range(12))
def test_a_full_disk_at_any_write_of_a_save_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    s = begun(tmp_path / "p.sesami")
    s.paint(stroke(7), 2)
    s.commit(stroke(8) > 0, "oxide", 2)
    trouble = Trouble(monkeypatch, errno.ENOSPC)
    trouble.arm(left)
    with pytest.raises(SaveError, match="is full; everything is still here in memory"):
        s.save()
    assert s.document.dirty
    s.paint(stroke(9), 0)  # goes on in memory, even if the journal is refused, too
    strokes, labels, ids = s.strokes.copy(), s.labels.copy(), s.objects.ids.copy()
    trouble.armed = False
    s.save()
    assert not s.document.dirty
    s.close()
    with Session(SCAN, tmp_path / "p.sesami") as t:
        assert t.document.recovered == 0
        np.testing.assert_array_equal(t.strokes, strokes)
        np.testing.assert_array_equal(t.labels, labels)
        np.testing.assert_array_equal(t.objects.ids, ids)
        assert list(t.objects) == [1, 2]


def test_a_full_disk_while_painting_is_told_and_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = begun(tmp_path / "p.sesami")
    heard: list[str] = []
    s.document.events.trouble.connect(heard.append)
    trouble = Trouble(monkeypatch, errno.ENOSPC)
    trouble.arm(0)
    s.paint(stroke(7), 2)
    s.classes.add("metal")
    s.paint(stroke(5), 2)
    assert all("is full" in text for text in heard)
    assert len(heard) >= 3
    strokes = s.strokes.copy()
    trouble.armed = False
    s.document.tick()
    s.close()  # no save
    with Session(SCAN, tmp_path / "p.sesami") as t:
        assert t.document.recovered == 3
        assert t.classes.names == ("oxide", "void", "metal")
        np.testing.assert_array_equal(t.strokes, strokes)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs POSIX file limits")
def test_a_disk_that_really_refuses_bytes(tmp_path: Path) -> None:
    """The kernel itself refuses: a record is cut in the middle."""
    import resource

    rng = np.random.default_rng(0)
    s = begun(tmp_path / "p.sesami")
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, limits[1]))
        for plane in range(3):
            s.paint(rng.integers(1, 3, (30, 40)), plane)
        with pytest.raises(SaveError, match="is full"):
            s.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    strokes = s.strokes.copy()
    s.document.tick()
    s.close()
    with Session(SCAN, tmp_path / "p.sesami") as t:
        np.testing.assert_array_equal(t.strokes, strokes)


@pytest.fixture
def read_only_project() -> Iterator[Path]:
    """A project in which nobody may write; root becomes nobody for the time."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    begun(home / "p.sesami").close()
    for path in (home / "p.sesami").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (home / "p.sesami").chmod(0o555)
    (home / "free").mkdir()
    (home / "free").chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield home / "p.sesami"
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(home, onerror=_make_writable)


def _make_writable(function, path, _) -> None:
    for p in (Path(path).parent, Path(path)):
        p.chmod(0o755)
    function(path)


def test_a_read_only_folder_opens_and_work_can_be_saved_elsewhere(
    read_only_project: Path,
) -> None:
    s = Session(SCAN, read_only_project)
    assert s.document.project is not None
    assert s.document.project.read_only
    assert "is read-only for you" in str(s.document.project.last_trouble)
    s.paint(stroke(7), 2)
    s.classes.add("metal")
    with pytest.raises(SaveError, match="save into another folder"):
        s.save()
    with pytest.raises(SaveError, match="read-only"):
        s.save(read_only_project.parent / "q.sesami")
    target = read_only_project.parent / "free" / "q.sesami"
    s.save(target)
    s.paint(stroke(8), 2)
    strokes = s.strokes.copy()
    s.close()
    with Session(SCAN, target) as t:
        assert t.document.recovered == 1
        np.testing.assert_array_equal(t.strokes, strokes)
        assert list(t.objects) == [1]
        assert t.classes.names == ("oxide", "void", "metal")


def test_work_without_a_project_finds_one_later(tmp_path: Path) -> None:
    s = Session(SCAN)
    s.classes.add("oxide")
    s.classes.add("void")
    s.paint(stroke(3), 1)
    s.save(tmp_path / "late.sesami")
    s.paint(stroke(4), 1)
    s.undo()
    assert s.undo() == "paint"  # the history goes on
    s.history.redo()
    s.save()
    s.close()
    with Session(SCAN, tmp_path / "late.sesami") as t:
        np.testing.assert_array_equal(t.strokes.plane(1), stroke(3))


def test_save_as_takes_banks_and_other_scans_along(tmp_path: Path) -> None:
    s = begun(tmp_path / "p.sesami")
    assert s.document.project is not None
    (s.document.project.folder("banks") / "a.bank").write_text("tokens")
    other = Session(SCAN + 1, s.document.project)
    other.paint(stroke(2), 0)
    other.save()
    other.close()
    s.paint(stroke(9), 0)
    s.save(tmp_path / "q.sesami")
    strokes = s.strokes.copy()
    s.close()
    with Project.open(tmp_path / "q.sesami") as copy:
        assert (copy.folder("banks") / "a.bank").read_text() == "tokens"
        np.testing.assert_array_equal(Session(SCAN, copy).strokes, strokes)
        assert Session(SCAN + 1, copy).strokes.plane(0).any()
    with pytest.raises(ProjectError, match="folders banks"):
        copy.folder("elsewhere")


def test_folders_that_are_no_projects_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("important")
    (tmp_path / "file.sesami").write_text("x")
    for name in ("full", "file.sesami"):
        with pytest.raises(ProjectError, match="is no project"):
            Session(SCAN, tmp_path / name)
        with pytest.raises(ProjectError, match="no project"):
            Project.open(tmp_path / name)
    with pytest.raises(ProjectError, match="check the path"):
        Project.open(tmp_path / "nowhere.sesami")
    assert (tmp_path / "full" / "thesis.tex").read_text() == "important"


def test_newer_and_foreign_formats_are_refused_untouched(tmp_path: Path) -> None:
    begun(tmp_path / "p.sesami").close()
    index = tmp_path / "p.sesami" / "project.json"
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "version": 99}))
    before = index.read_bytes()
    with pytest.raises(ProjectError, match=r"format 99 .* update napari-sesami"):
        Project.open(tmp_path / "p.sesami")
    assert index.read_bytes() == before
    index.write_text(json.dumps({**content, "format": "other"}))
    with pytest.raises(ProjectError, match="not written by napari-sesami"):
        Project.open(tmp_path / "p.sesami")
    index.write_text(json.dumps({"format": "sesami-project", "version": 1}))
    with pytest.raises(ProjectError, match="is damaged"):
        Project.open(tmp_path / "p.sesami")
    index.write_text(json.dumps({**content, "later": "kept"}))
    with begun_again(tmp_path) as s:
        s.save()
    assert json.loads(index.read_text())["later"] == "kept"


def begun_again(tmp_path: Path) -> Session:
    return Session(SCAN, tmp_path / "p.sesami")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    disk.write_json(path, {"a": 1})

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        disk.write_json(path, {"a": 2})
    assert files(tmp_path) == ["a.json"]
    assert disk.read_json(path) == {"a": 1}


def test_autosave_saves_when_it_is_time(tmp_path: Path) -> None:
    with begun(tmp_path / "p.sesami") as s:
        assert s.document.project is not None
        s.paint(stroke(3), 0)
        s.document.project.autosave_every = None
        s.document.tick()
        assert s.document.dirty
        s.document.project.autosave_every = 1e9
        s.document.tick()
        assert s.document.dirty
        s.document.project.autosave_every = 0
        s.document.tick()
        assert not s.document.dirty


def test_the_autosave_thread_saves_and_ends(tmp_path: Path) -> None:
    import threading

    s = begun(tmp_path / "p.sesami")
    assert s.document.project is not None
    s.document.project.autosave_every = 0
    saved = threading.Event()
    s.document.events.saved.connect(saved.set)
    s.document.project.start_autosave(every=0.01)
    s.paint(stroke(3), 0)
    assert saved.wait(20)
    s.close()
    assert not [t for t in threading.enumerate() if t.name == "sesami-autosave"]
    with Session(SCAN, tmp_path / "p.sesami") as t:
        assert t.strokes.plane(0)[3].any()
