"""What is done beside the steps: checkpoints, measurements, pictures, the result."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from napari_sesami.common.cancel import Cancelled, cancellable
from napari_sesami.common.disk import FULL
from napari_sesami.train.engine.checkpoints import Checkpoints, why_not
from napari_sesami.train.engine.snapshot import fingerprint, pack, restore
from napari_sesami.train.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from napari_sesami.train.recipe import Recipe
    from napari_sesami.train.run.folder import RunFolder
    from napari_sesami.train.run.orders import Control
    from napari_sesami.train.run.report import Report

_FULL_WORDS = re.compile(rf"os error ({'|'.join(str(n) for n in sorted(FULL))})\b")


class Stop(Exception):
    """The run ends before its last step."""

    def __init__(self, reason: str, sentence: str = "") -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


class RunRecorder:
    """Keeps what a run has learnt; only the first process of a run writes.

    Attributes
    ----------
    saved
        Step of the newest checkpoint; -1 if there is none.
    """

    def __init__(
        self, folder: RunFolder, report: Report, control: Control, *,
        recipe: Recipe, module: nn.Module, optimiser: Any,
    ) -> None:  # fmt: skip
        self.folder, self.report, self.control = folder, report, control
        self.config = folder.config
        self.recipe, self.module, self.optimiser = recipe, module, optimiser
        self.checkpoints = Checkpoints(folder.checkpoints)
        self._base = fingerprint(module)
        self.saved, self._due = -1, float("-inf")
        self._full = False

    # ------------------------------------------------------------------ checkpoints
    def restore(self) -> tuple[int, float]:
        """Go to the newest whole checkpoint; step and seconds of training there."""
        found = self.checkpoints.newest(self.note)
        if found is None:
            return 0, 0.0
        step, parts = found
        facts = restore(parts, self.module, self.optimiser, self.recipe)
        if facts["base"] != self._base:
            raise TrainError(
                "The weights that the run began from have changed since; put the old "
                "ones back, or start a new run."
            )
        self.saved = step
        self._put_off(self.config.checkpoint_minutes)
        return step, float(facts["spent"])

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint; the first comes at once.

        A disk that cannot be written shows early that way.
        """
        return time.monotonic() >= self._due

    def checkpoint(self, step: int, spent: float) -> None:
        """Write one if there is none of this step; a full disk is only noted."""
        minutes = self.config.checkpoint_minutes
        try:
            self.save(step, spent)
        except OSError as error:
            minutes, self._full = min(0.5, minutes), True
            self.note(why_not(error, self.folder.path))
        self._put_off(minutes)

    def save(self, step: int, spent: float) -> None:
        """Write one if there is none of this step."""
        if self.saved == step:
            return
        facts = {"spent": spent, "base": self._base, "step": step}
        parts = pack(self.module, self.optimiser, self.recipe, facts)
        self.checkpoints.save(step, parts)
        self.saved = step
        if self._full:
            self._full = False
            self.note(f"Step {step} could be written to the disk again.")
        self.report.status(checkpoint=step)
        self.report.say("checkpoint", step=step)

    def _put_off(self, minutes: float) -> None:
        self._due = time.monotonic() + 60 * minutes

    # ------------------------------------------------------ measurements and pictures
    def measure(self, step: int, when: str, spent: float) -> None:
        """Let the recipe measure; the best so far gets a checkpoint of its own."""
        with self._aside():
            metrics = self.recipe.evaluate()
            self.report.status(**{when: metrics})
            self.report.say("metrics", step=step, when=when, metrics=metrics)
            score = metrics.get(self.recipe.score)
            if step > 0 and isinstance(score, int | float) and self._better(score):
                self.checkpoint(step, spent)
                self._mark_best(step, float(score))

    def _better(self, score: float) -> bool:
        best = self.checkpoints.best()
        return best is None or score > best[1]

    def _mark_best(self, step: int, score: float) -> None:
        if self.saved != step:
            return  # the disk was full
        try:
            self.checkpoints.mark_best(step, score)
        except OSError as error:
            self.note(why_not(error, self.folder.path))

    def draw(self, step: int) -> None:
        """Let the recipe draw what the module predicts."""
        folder = self.folder.pictures / f"step-{step:06d}"
        with self._aside():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                paths = self.recipe.pictures(folder)
            except OSError as error:
                self.note(why_not(error, folder))
                return
            for path in paths:
                place = path.relative_to(self.folder.path).as_posix()
                self.report.say("picture", step=step, path=place)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Leave the module as it was; end early when the run is to stop."""
        modes = [(m, m.training) for m in self.module.modules()]
        try:
            with cancellable(self.control.stopping), torch.no_grad():
                yield
        except Cancelled:
            pass  # the order itself is obeyed before the next step
        finally:
            for module, training in modes:
                module.training = training

    # ------------------------------------------------------------------------ the end
    def conclude(self, step: int, spent: float) -> None:
        """Keep, measure and write out what was learnt."""
        self._until_space(lambda: self.save(step, spent))
        self._take_best()
        self.measure(step, "after", spent)
        self.draw(step)
        if self.control.stop:
            raise Stop(self.control.stop)
        facts = self._until_space(self._write_out)
        self.report.status(facts=facts)

    def _take_best(self) -> None:
        best = self.checkpoints.best()
        if self.config.take == "best" and best is not None:
            parts = self.checkpoints.load(best[0])
            restore(parts, self.module, self.optimiser, self.recipe)
            self.note(f"The weights of step {best[0]} were measured best and are kept.")

    def _until_space(self, write: Callable[[], Any]) -> Any:
        """Write what must not be lost; a full disk is waited for."""
        told = False
        while True:
            try:
                return write()
            except Exception as error:
                if not disk_full(error):
                    raise
                if self.control.stop:
                    raise Stop(self.control.stop) from error
            if not told:
                told = True
                self.note(
                    f"The disk with {self.folder.path} is full; what was learnt is "
                    "still in memory: free some space, and the run ends by itself."
                )
            for _ in range(20):
                time.sleep(0 if self.control.stop else 0.1)

    def _write_out(self) -> dict[str, Any]:
        """Let the recipe write its result beside its place, then move it there."""
        draft = self.folder.path / ".adapter.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            with cancellable(self.control.stopping):
                facts = self.recipe.finish(draft)
        except Cancelled as error:
            raise Stop(self.control.stop) from error
        shutil.rmtree(self.folder.adapter, ignore_errors=True)
        draft.rename(self.folder.adapter)
        return facts

    def note(self, sentence: str) -> None:
        """Tell people something that the run goes on after."""
        self.report.status(sentence=sentence)
        self.report.say("note", sentence=sentence)


def disk_full(error: Exception) -> bool:
    """Whether a disk was full; libraries in Rust say it in words only."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return bool(_FULL_WORDS.search(str(error)))
