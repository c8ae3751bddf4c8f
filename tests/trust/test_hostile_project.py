"""A project that somebody else made touches nothing beyond itself."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sesami.common.errors import SesamiError
from napari_sesami.project import Project, ProjectError
from napari_sesami.prompt import Mask
from napari_sesami.session import Session

if TYPE_CHECKING:
    from pathlib import Path

SCAN = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)


def made(folder: Path) -> Path:
    with Session(SCAN, folder) as session:
        session.classes.add("a")
        session.paint(np.ones((4, 5), int), at=(3, 3))
        mask = np.zeros((48, 64), bool)
        mask[20:30, 20:30] = True
        session.commit(mask, "a")
        session.save()
    return folder


def victim(tmp_path: Path) -> dict[Path, bytes]:
    """Files that opening a project once deleted or wrote over."""
    home = tmp_path / "victim"
    for name in ("planes/keep.npz", "objects-000001.json", ".x.tmp", "state.json"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(name.encode())
    (home / "journal-000001.log").write_bytes(b"log")
    return snapshot(home)


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def edit(folder: Path, change) -> None:
    index = json.loads((folder / "project.json").read_text())
    change(index)
    for name in ("project.json", "project.previous.json"):
        (folder / name).write_text(json.dumps(index))


@pytest.mark.parametrize("how", ["relative", "absolute", "dots", "link", "planes"])
def test_no_key_or_link_leads_out_of_the_project(tmp_path: Path, how: str) -> None:
    folder = made(tmp_path / "p.sesami")
    before = victim(tmp_path)
    keys = {
        "relative": "../../victim",
        "absolute": str(tmp_path / "victim"),
        "dots": "0001-/../../../victim",
    }
    if how in keys:
        edit(folder, lambda index: index["scans"][0].update(key=keys[how]))
    else:
        inner = folder / "scans" / "0001-array"
        target = inner if how == "link" else inner / "planes"
        shutil.rmtree(target)
        target.symlink_to(tmp_path / "victim")
    with pytest.raises(SesamiError) as caught:
        with Session(SCAN, folder) as session:
            session.paint(np.ones((4, 5), int), at=(3, 3))
            session.save()
    assert "\n" not in str(caught.value)
    assert snapshot(tmp_path / "victim") == before


def test_a_linked_lock_does_not_empty_a_foreign_file(tmp_path: Path) -> None:
    folder = made(tmp_path / "p.sesami")
    (tmp_path / "precious").write_text("precious")
    (folder / "lock").unlink(missing_ok=True)
    (folder / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(SesamiError):
        Project.open(folder)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("room", ["runs", "banks", "queries", "adapters", "scans"])
def test_a_linked_room_is_refused_and_not_copied(tmp_path: Path, room: str) -> None:
    folder = made(tmp_path / "p.sesami")
    before = victim(tmp_path)
    shutil.rmtree(folder / room, ignore_errors=True)
    (folder / room).symlink_to(tmp_path / "victim")
    with pytest.raises(SesamiError):
        with Project.open(folder) as project:
            project.folder(room) if room != "scans" else None
            project.copy_to(tmp_path / "q.sesami")
    assert snapshot(tmp_path / "victim") == before
    assert not (tmp_path / "q.sesami").exists()


def test_a_copy_takes_no_foreign_file_along(tmp_path: Path) -> None:
    folder = made(tmp_path / "p.sesami")
    (tmp_path / "secret").write_text("secret")
    (folder / "banks").mkdir(exist_ok=True)
    (folder / "banks" / "x.bank").symlink_to(tmp_path / "secret")
    with (
        Project.open(folder) as project,
        pytest.raises(ProjectError, match="is a link"),
    ):
        project.copy_to(tmp_path / "q.sesami")
    assert not (tmp_path / "q.sesami").exists()
    (folder / "banks" / "x.bank").unlink()
    with Project.open(folder) as project:  # and the same name works then
        project.copy_to(tmp_path / "q.sesami").close()


def test_a_plane_that_inflates_to_more_than_its_scan_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "p.sesami")
    (path,) = folder.rglob("strokes-*.npz")
    np.savez_compressed(path, pixels=np.zeros((20_000, 20_000), np.uint8))
    with Session(SCAN, folder) as session, pytest.raises(ProjectError, match="shape"):
        session.document.read("strokes", 0)


def test_a_save_that_failed_on_a_full_disk_works_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_sesami.project import index

    session = Session(SCAN)
    session.classes.add("a")
    write = index.write_index

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index, "write_index", full)
    with pytest.raises(ProjectError, match="is full"):
        session.save(tmp_path / "new.sesami")
    monkeypatch.setattr(index, "write_index", write)
    session.save(tmp_path / "new.sesami")
    session.close()
    with Session(SCAN, tmp_path / "new.sesami") as again:
        assert again.classes.names == ("a",)


def test_what_an_older_failed_save_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "new.sesami").mkdir()
    (tmp_path / "new.sesami" / "lock").touch()
    Project.create(tmp_path / "new.sesami").close()


def test_an_absolute_adapter_must_be_one_and_a_relative_one_stays_inside(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path / "p.sesami")
    (folder / "adapters").mkdir(exist_ok=True)
    for name in ("../../../../etc/passwd", "/etc/passwd", 3, ["x"]):
        told = {"sesami-nano": {"active": name, "before": []}}
        (folder / "adapters" / "active.json").write_text(json.dumps(told))
        with Session(SCAN, folder) as session:
            assert session.adapters.active is None


def test_a_class_is_journaled_before_the_index_has_it(tmp_path: Path) -> None:
    """Whoever is killed in between has the class with its step of undo."""
    folder = tmp_path / "p.sesami"
    with Session(SCAN, folder) as session:
        kept = session.document.project._index_changed
        copies = []

        def copy_first() -> None:
            copies.append(tmp_path / f"copy{len(copies)}.sesami")
            shutil.copytree(folder, copies[-1])
            (copies[-1] / "lock").unlink()
            kept()

        session.document.project._index_changed = copy_first
        session.classes.add("late")
        session.document.project._index_changed = kept
    with Session(SCAN, copies[0]) as again:
        assert again.classes.names == ("late",)
        assert again.undo() == "add class late"
        assert len(again.classes) == 0


def test_threads_do_not_overtake_each_other_in_the_index(tmp_path: Path) -> None:
    import threading
    import time

    from napari_sesami.project import index

    folder = tmp_path / "p.sesami"
    with Session(SCAN, folder) as session:
        project, write = session.document.project, index.write_index
        slow = threading.Event()

        def slowly(*arguments):
            if slow.is_set():
                slow.clear()
                time.sleep(0.3)
            write(*arguments)

        index.write_index = slowly
        try:
            session.classes.add("a")
            project._edits += 1
            slow.set()
            thread = threading.Thread(target=project.tick)
            thread.start()
            time.sleep(0.05)
            session.classes.rename("a", "newer")
            thread.join()
        finally:
            index.write_index = write
        assert not project._loose
        told = json.loads((folder / "project.json").read_text())
    assert [c["name"] for c in told["classes"]["entries"]] == ["newer"]


def test_commit_does_not_grow_with_the_number_of_objects() -> None:
    session = Session(np.zeros((2048, 2048), np.uint16))
    session.classes.add("a")
    mask = np.zeros((3, 3), bool)
    mask[:] = True

    def seconds(count: int) -> float:
        begun = os.times().user
        for _ in range(count):
            n = len(session.objects)
            y, x = 4 * (n // 500), 4 * (n % 500)
            part = Mask((y, x, y + 3, x + 3), mask, 1.0, (2048, 2048), 0)
            session.commit(part, "a")
        return (os.times().user - begun) / count

    first = seconds(150)
    seconds(1500)
    last = seconds(150)
    assert last < 3 * first + 2e-3
    orders = [o.order for o in session.objects.values()]
    assert orders == sorted(orders) and len(set(orders)) == len(orders)


@pytest.mark.parametrize("side", [999, 2**30, 10**30])
def test_a_shape_that_is_not_the_scans_is_a_sentence(tmp_path: Path, side: int) -> None:
    scan = np.zeros((8, 9), np.uint8)
    with Session(scan, tmp_path / "p.sesami") as session:
        session.classes.add("a")
        session.save()
    path = tmp_path / "p.sesami" / "project.json"
    whole = path.read_text()
    index = json.loads(whole)
    index["scans"][0]["shape"][0] = side
    path.write_text(json.dumps(index))
    with pytest.raises(ProjectError, match=r"project\.json is damaged"):
        Session(scan, tmp_path / "p.sesami")
    # nothing of it is kept: the mended file is read, not what was in memory
    path.write_text(whole)
    with Session(scan, tmp_path / "p.sesami") as session:
        assert [entry.name for entry in session.classes] == ["a"]
