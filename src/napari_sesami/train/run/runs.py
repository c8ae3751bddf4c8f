"""Runs: started one after the other, found again, estimated; no Qt."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.cancel import Cancelled, check_cancelled
from napari_sesami.common.checked import checked
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import inside, plain_name
from napari_sesami.models import choose_device
from napari_sesami.train.config import FILE, RunConfig
from napari_sesami.train.errors import TrainError
from napari_sesami.train.foreign import ForeignOptions, check_agreed, code_folder
from napari_sesami.train.recipe import recipe_class
from napari_sesami.train.run.folder import RunFolder
from napari_sesami.train.run.launch import environment, worker_command
from napari_sesami.train.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    Data = Callable[[Path], Any]


@dataclass(frozen=True)
class Estimate:
    """What a few trial steps cost."""

    seconds_per_step: float
    memory_bytes: int
    micro_batch: int
    sentence: str


def start_run(
    config: RunConfig,
    folder: Path,
    *,
    data: Data | None = None,
    wait_for: Run | None = None,
) -> Run:
    """Start a run in a new folder, at once or when another one is over.

    Parameters
    ----------
    config
        What to do.
    folder
        A new or empty folder.
    data
        Called with the folder's `data`, to put there what is learnt from.
    wait_for
        A run that goes first.
    """
    check_agreed(config)
    run = make_run(config, folder, data)
    if wait_for is None or wait_for.status.over:
        run.monitor.launch()
        return run
    run.monitor.queue()
    waiting = wait_for.monitor.when_over

    def go() -> None:
        try:
            waiting.remove(go)
        except ValueError:
            return  # it has gone already
        if not run.status.over:
            run.monitor.launch()

    waiting.append(go)
    if wait_for.status.over:
        go()
    return run


def make_run(config: RunConfig, folder: Path, data: Data | None = None) -> Run:
    """Make the folder of a run, and do not start it."""
    home = RunFolder.create(folder, config)
    if data is not None:
        try:
            data(home.data)
        except BaseException:
            shutil.rmtree(home.path, ignore_errors=True)
            raise
    return Run(home)


class Runs:
    """The runs of a folder; those that share a device go one after the other.

    Attributes
    ----------
    root
        The folder that has the run folders.
    unreadable
        Folders that `list` could not open, with the sentence that says why.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).expanduser().resolve()
        self.unreadable: dict[Path, str] = {}
        self._runs: dict[Path, Run] = {}
        self._waiting: list[Run] = []
        self._lock = threading.RLock()

    def list(self) -> list[Run]:
        """All runs, the newest first; those at work elsewhere are followed."""
        found = sorted((p.parent for p in self.root.glob(f"*/{FILE}")), reverse=True)
        with self._lock:
            self.unreadable.clear()
            for gone in set(self._runs) - set(found):
                del self._runs[gone]
            for folder in found:
                if folder not in self._runs:
                    try:
                        self._adopt(Run(inside(self.root, folder.name)))
                    except (SesamiError, OSError) as error:
                        self.unreadable[folder] = str(error)
                elif self._runs[folder].status.over and self._runs[folder].alive:
                    self._runs[folder].monitor.watch()  # somebody else resumed it
            return [self._runs[folder] for folder in found if folder in self._runs]

    def _adopt(self, run: Run) -> None:
        run.starter = partial(self._enter, run)
        run.monitor.when_over.append(partial(self._next, run))
        self._runs[run.folder] = run

    def start(self, config: RunConfig, data: Data | None = None) -> Run:
        """Start a run, or queue it behind those on the same device."""
        check_agreed(config)
        run = make_run(config, self.new_folder(config), data)
        with self._lock:
            self._adopt(run)
        self._enter(run)
        return run

    def forget(self, run: Run) -> None:
        """Delete a run that is over, with its folder."""
        if run.alive:
            raise TrainError(f"{run.name} is still running; stop it first.")
        if not run.status.over:
            run.stop()  # out of the queue
        with self._lock:
            self._runs.pop(run.folder, None)
        try:
            shutil.rmtree(run.folder)
        except OSError as error:
            raise TrainError(f"{run.folder} cannot be deleted: {error}.") from error

    def new_folder(self, config: RunConfig) -> Path:
        """Name a folder for a new run."""
        options = config.recipe_options
        foreign = isinstance(options, ForeignOptions)
        name = options.table if foreign else recipe_class(config.recipe).name
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{plain_name(name)}"
        names = [stem, *(f"{stem}-{i}" for i in range(2, 1000))]
        return next(self.root / n for n in names if not (self.root / n).exists())

    def _enter(self, run: Run) -> None:
        """Launch a run if its device is free, else queue it."""
        with self._lock:
            if not self._busy(run):
                run.monitor.launch()
                return
            self._waiting.append(run)
            run.monitor.queue()

    def _busy(self, run: Run) -> bool:
        device = _device(run.config)
        mates = [r for r in self._runs.values() if r is not run]
        return any(
            r.status.state in ("starting", "running", "paused")
            and _device(r.config) == device
            for r in mates
        )

    def _next(self, over: Run) -> None:
        """Launch the first run in the queue whose device is free now."""
        with self._lock:
            if over in self._waiting:
                self._waiting.remove(over)
            for run in tuple(self._waiting):
                if run not in self._waiting or self._busy(run):
                    continue
                self._waiting.remove(run)
                home = run.monitor.home
                if home.exists() and home.status().get("state") != "cancelled":
                    run.monitor.launch()
                else:  # somebody else has deleted or cancelled it
                    run.stop()


def _device(config: RunConfig) -> str:
    """Name the device that a run needs for itself."""
    name = choose_device("auto").name if config.device == "auto" else config.device
    return "cuda:0" if name == "cuda" else name


def estimate(config: RunConfig, data: Data | None = None) -> Estimate:
    """Try a few steps at the real shapes, in a process of its own; keep nothing.

    It takes seconds; within `cancellable` it can be stopped.
    """
    check_agreed(config)
    with tempfile.TemporaryDirectory(prefix="sesami-trial-") as folder:
        home = RunFolder.create(Path(folder) / "run", config)
        if data is not None:
            data(home.data)
        code = code_folder(config.recipe)
        command = [*worker_command(home.path, detach=True, code=code), "--dry"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        out, err = _communicate(process)
    for line in reversed(out.splitlines()):
        answer = checked(dict[str, Any], line, "the answer of the trial", TrainError)
        if "refused" in answer:
            raise TrainError(answer["refused"])
        minutes = config.steps * answer["seconds_per_step"] / 60
        length = f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"
        sentence = (
            f"{config.steps} steps take about {length} on {answer.pop('device')} and "
            f"{answer['memory_bytes'] / 2**30:.1f} GB of memory."
        )
        return Estimate(**answer, sentence=sentence)
    last = (err.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
    raise TrainError(f"The trial of a few steps failed ({last}).")


def _communicate(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Wait for what a process prints; end it when the user cancels."""
    while True:
        try:
            check_cancelled()
            return process.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
        except Cancelled:
            process.kill()
            process.communicate()
            raise
