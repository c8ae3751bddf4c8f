"""`sesami self-test`: what a run of the package touches, for whoever lets it in.

The main job is done on a sample while Python tells of every connection, every file that
is opened to be written and every pickled object; what is counted is printed and decides
the exit code.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

NETWORK = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "socket.sendmsg", "socket.bind", "urllib.Request", "http.client.connect",
)  # fmt: skip
WRITES = (
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.symlink",
    "os.link", "shutil.rmtree",
)  # fmt: skip


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    commands.add_parser(
        "self-test", help="do the main job and count network calls and files touched"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do the main job on a sample under watch; return 1 if a promise was broken."""
    from napari_sesami.common.home import home

    with tempfile.TemporaryDirectory(prefix="sesami-self-test-") as place:
        work = Path(place).resolve()
        watch = Watch([work, home().resolve(), *_caches()])
        sys.addaudithook(watch.hear)
        steps = main_job(work)
        watch.over = True
    for step in steps:
        print(f"done      {step}")
    print(f"network   {sum(watch.network.values())} calls {_list(watch.network)}")
    print(f"pickles   {sum(watch.pickles.values())} loaded {_list(watch.pickles)}")
    print(f"processes {sum(watch.processes.values())} started {_list(watch.processes)}")
    print(f"written   {watch.inside} times in: {', '.join(map(str, watch.allowed))}")
    print(f"elsewhere {len(watch.outside)} files {_list(watch.outside)}")
    broken = watch.network or watch.pickles or watch.outside
    print("A promise was broken." if broken else "All promises were kept.")
    return 1 if broken else 0


def _list(found: Counter[str]) -> str:
    return "" if not found else "(" + ", ".join(sorted(found)[:8]) + ")"


def _caches() -> list[Path]:
    """Places that libraries use beside ours: torch makes an empty folder of its own."""
    temporary = Path(tempfile.gettempdir()).resolve()
    return [Path(os.devnull), *temporary.glob("torchinductor_*"), temporary / _torch()]


def _torch() -> str:
    """Name of the folder that torch makes when it is imported."""
    import getpass

    return f"torchinductor_{getpass.getuser()}"


@dataclass
class Watch:
    """Counts what Python's audit events tell.

    Attributes
    ----------
    allowed
        Folders that may be written.
    """

    allowed: list[Path]
    network: Counter[str] = field(default_factory=Counter)
    pickles: Counter[str] = field(default_factory=Counter)
    processes: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    over: bool = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one event; it must be quick and must not raise."""
        if self.over:
            return
        if event in NETWORK:
            if not _local(event, arguments):
                self.network[event] += 1
        elif event == "pickle.find_class" and not _of_dask():
            self.pickles[f"{arguments[0]}.{arguments[1]}"] += 1
        elif event == "subprocess.Popen":
            self.processes[Path(str(arguments[0])).name] += 1
        elif event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
            if isinstance(path, str | bytes | os.PathLike) and writes:
                self._written(os.fsdecode(path))
        elif event in WRITES and isinstance(arguments[0], str | bytes | os.PathLike):
            self._written(os.fsdecode(arguments[0]))

    def _written(self, path: str) -> None:
        place = os.path.realpath(path)
        if "__pycache__" in place or any(_below(place, a) for a in self.allowed):
            self.inside += 1
        else:
            self.outside[place] += 1


def _below(place: str, folder: Path) -> bool:
    return place == str(folder) or place.startswith(f"{folder}{os.sep}")


def _of_dask() -> bool:
    """Whether dask names one of its own functions, in memory and from no file."""
    frame = sys._getframe(2)
    for _ in range(8):
        if frame.f_globals.get("__name__") == "dask.tokenize":
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _local(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a socket only joins processes of this machine."""
    address = arguments[1] if len(arguments) > 1 else None
    return event in ("socket.connect", "socket.bind") and isinstance(
        address, str | bytes
    )


def main_job(folder: Path) -> list[str]:
    """Click, commit, stroke, segment, ask, save, reopen and export on a sample."""
    import numpy as np

    from napari_sesami.models import catalog
    from napari_sesami.project import Project
    from napari_sesami.scan import Scan, load_sample, save_labels
    from napari_sesami.session import Session

    models = len(catalog.entries())
    sample = load_sample("sem_pair").scan
    scan = Scan.from_array(np.array(sample.plane(0)[:256, :256]), name="self-test")
    session = Session(scan, project=folder / "self-test.sesami")
    session.classes.add("one")
    session.classes.add("two")
    mask = session.prompt(points=[(128.0, 128.0)], labels=[1])
    if not mask.empty:
        session.commit(mask, "one")
    strokes = np.zeros((256, 256), np.uint8)
    strokes[8:16, 8:64], strokes[240:248, 8:64] = 1, 2
    session.paint(strokes)
    labels = session.segment().labels
    queries = session.suggest(3)
    session.save()
    save_labels(labels[0], folder / "labels.ome.tif", like=scan)
    session.close()
    with Project.open(folder / "self-test.sesami") as project:
        scans = len(project.scans)
    return [
        f"looked at {models} models",
        "prompted, committed, painted, segmented and saved",
        f"asked {len(queries)} questions, reopened {scans} scan, exported labels",
    ]
