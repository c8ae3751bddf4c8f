"""The engine: a recipe's steps, in order, to the end or to an order to stop.

Everything random is a function of seed and step, the weights and the optimiser come
from a checkpoint: so a run that was interrupted anywhere equals one that was not. What
is special about many processes, devices and half precision is accelerate's.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from napari_sesami.train.engine import sampling
from napari_sesami.train.engine.accelerate import (
    make_accelerator,
    sum_gradients,
    summed,
)
from napari_sesami.train.engine.fallback import Fallback, attempt, out_of_memory
from napari_sesami.train.engine.recorder import RunRecorder, Stop
from napari_sesami.train.errors import TrainError
from napari_sesami.train.recipe import recipe_class
from napari_sesami.train.run.state import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_sesami.train.run.folder import RunFolder
    from napari_sesami.train.run.orders import Control
    from napari_sesami.train.run.report import Report

_CHECK_SECONDS = 0.5
"""Processes ask each other for orders about this often."""


class Again(Exception):
    """A fresh process must go on from the checkpoint."""


class Engine:
    """Trains one run from where it stands.

    Attributes
    ----------
    step, spent
        Steps done, and the seconds that they took, over all processes so far.
    micro
        Examples that go through the net at a time.
    """

    def __init__(self, folder: RunFolder, report: Report, control: Control) -> None:
        self.folder, self.report, self.control = folder, report, control
        self.config = config = folder.config
        self.fallback = Fallback.read(folder.fallback)
        self.accelerator = make_accelerator(config)
        self.rank = self.accelerator.process_index
        self.ranks = self.accelerator.num_processes
        self.recipe = recipe_class(config.recipe)(config, folder.path)
        sampling.seed_step(config.seed, 0, 0)
        self.module = self.recipe.prepare(self.accelerator.device)
        self.trained = [p for p in self.module.parameters() if p.requires_grad]
        self._check()
        optimiser = self.recipe.optimiser(self.module)
        self._rates = [group["lr"] for group in optimiser.param_groups]
        self.optimiser = self.accelerator.prepare_optimizer(optimiser)
        self.recorder = RunRecorder(
            folder, report, control,
            recipe=self.recipe, module=self.module, optimiser=self.optimiser,
        )  # fmt: skip
        share = math.ceil(config.batch / self.ranks)
        self.micro = min(
            self.fallback.micro_batch or config.micro_batch or share, share
        )
        self.step, self.spent = 0, 0.0
        self._pace, self._check_every = 0.0, 1
        self._moving = self._slowed = self._enough = False

    def _check(self) -> None:
        if not self.trained:
            raise TrainError(
                f"The recipe “{self.config.recipe}” leaves nothing to train; choose "
                "options that train some weights."
            )
        if self.recipe.n_examples < 1:
            raise TrainError("There is nothing to learn from; label something first.")

    # ---------------------------------------------------------------- the whole run
    def run(self) -> Ending:
        """Train until the last step, or an order to stop."""
        try:
            self._begin()
            while self._more:
                self._walk()
            if not self.rank:
                self.recorder.conclude(self.step, self.spent)
            self._together()
        except Stop as stop:
            return self._stopped(stop)
        if self._enough:
            return Ending("finished", f"It had enough after {self.step} steps.")
        return Ending("finished", f"All {self.config.steps} steps are done.")

    @property
    def _more(self) -> bool:
        return self.step < self.config.steps and not self._enough

    def _begin(self) -> None:
        self._restore()
        self.report.status(state="running", step=self.step, sentence="")
        self.report.say(
            "started", step=self.step, steps=self.config.steps,
            device=str(self.accelerator.device), processes=self.ranks,
            micro_batch=self.micro, examples=self.recipe.n_examples,
            trained=sum(p.numel() for p in self.trained),
            total=sum(p.numel() for p in self.module.parameters()),
        )  # fmt: skip
        if not (self.rank or self.step) and self.report["before"] is None:
            self.recorder.measure(0, "before", 0.0)

    def _walk(self) -> None:
        """Take steps until the run ends, or goes back to an earlier checkpoint."""
        batches = self.batches()
        while self._more and self.advance(batches):
            pass

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Give all that this process still has to see."""
        return sampling.batches(
            self.recipe, self.step, self.micro, self.rank, self.ranks,
            pin=self.accelerator.device.type == "cuda",
        )  # fmt: skip

    def advance(self, batches: Iterator[dict[str, Tensor]]) -> bool:
        """Take one step and do what is due around it; false after going back."""
        self._obey()
        began = time.monotonic()
        log = self._guarded(batches)
        if log is None:
            return False
        self._note_step(log, time.monotonic() - began)
        if not self.rank:
            self._between()
        self._enough = self.recipe.enough(self.step)
        return True

    def _note_step(self, log: dict[str, float], seconds: float) -> None:
        self.step += 1
        self.spent += seconds
        self._pace = 0.9 * self._pace + 0.1 * seconds if self._pace else seconds
        self.report.step(self.step, self._pace)
        log = {key: value for key, value in log.items() if math.isfinite(value)}
        self.report.say(
            "step", step=self.step, **log, seconds=round(seconds, 6),
            spent=round(self.spent, 3),
        )  # fmt: skip
        if self.ranks > 1 and self.step % 8 == 3:
            pace = float(summed(self.accelerator, [self._pace])[0]) / self.ranks
            self._check_every = max(1, min(10, int(_CHECK_SECONDS / max(pace, 1e-6))))

    def _between(self) -> None:
        """Do what is due after a step."""
        step, control, config = self.step, self.control, self.config
        if control.checkpoint or self.recorder.due:
            control.checkpoint = False
            self.recorder.checkpoint(step, self.spent)
        if step >= config.steps:
            return  # all of it is done at the end anyway
        every, pictures = config.evaluate_every, config.picture_every
        if control.evaluate or (every and step % every == 0):
            control.evaluate = False
            self.recorder.measure(step, "during", self.spent)
        if pictures and step % pictures == 0:
            self.recorder.draw(step)

    def _stopped(self, stop: Stop) -> Ending:
        asked = stop.reason in ("cancelled", "orphan")
        if asked and not self.rank:
            self.recorder.checkpoint(self.step, self.spent)
        self._together()
        why = (
            "Stopped as asked" if stop.reason == "cancelled"
            else "The program that started the run is gone"
        )  # fmt: skip
        kept = max(self.recorder.saved, 0)
        words = f"{why}; the run can be resumed from step {kept}."
        return Ending(stop.reason, stop.sentence or words)

    # --------------------------------------------------------------------- one step
    def _guarded(self, batches: Iterator[dict[str, Tensor]]) -> dict[str, float] | None:
        """Take one step; None if the run had to go back to a checkpoint."""
        log: dict[str, float] | None = None
        try:
            log = self.update(batches)
        except Exception as error:
            if not out_of_memory(error):
                raise
        if log is None:  # not inside `except`: the error holds on to the memory
            self._step_down()
        elif not _finite(log):
            self._go_back()
            return None
        return log

    def update(self, batches: Iterator[dict[str, Tensor]]) -> dict[str, float]:
        """Follow the gradient of one batch, unless it is no number."""
        config = self.config
        sampling.seed_step(config.seed, self.step, self.rank)
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for positions in sampling.chunks(
            self.step, config.batch, self.micro, self.rank, self.ranks
        ):
            batch = _to(next(batches), self.accelerator.device)
            generator = sampling.loss_generator(config.seed, positions)
            with self.accelerator.autocast():
                losses = self.recipe.loss(batch, generator)
            share = len(positions) / config.batch
            self.accelerator.backward(losses["loss"] * share)
            for key, value in losses.items():
                part = value.detach().float().reshape(()) * share
                sums[key] = sums[key] + part if key in sums else part
        sum_gradients(self.accelerator, self.trained)
        norm = self.accelerator.clip_grad_norm_(self.trained, config.clip)
        log = self._log(sums, norm)
        if _finite(log):
            self._move()
        return log

    def _log(self, sums: dict[str, Tensor], norm: Tensor) -> dict[str, float]:
        values = torch.stack(list(sums.values()))
        if self.ranks > 1:
            values = self.accelerator.reduce(values, "sum")
        log = dict(zip(sums, values.tolist(), strict=True))
        if self.config.precision != "fp16":  # there the scaler deals with overflow
            log["norm"] = float(norm)
        return log | {"rate": self._scale() * self.config.rate}

    def _scale(self) -> float:
        return self.recipe.rate(self.step) * self.fallback.rate_scale

    def _move(self) -> None:
        groups = self.optimiser.param_groups
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate * self._scale()
        self._moving = True
        self.optimiser.step()
        self.recipe.after_step(self.step)
        self._moving = False

    # ------------------------------------------------------------- when it goes wrong
    def _step_down(self) -> None:
        """Halve the portions and let a fresh process go on."""
        lower = self.fallback.fewer(self.micro)
        if lower is None:
            raise Stop(
                "oom",
                "The memory does not even hold one example at a time; choose a smaller "
                "model or fewer trained blocks, or train on the CPU.",
            )
        self.optimiser.zero_grad(set_to_none=True)
        halfway = self._moving  # weights that are partly moved are no step's weights
        if not (self.rank or halfway) and self.step > max(self.recorder.saved, 0):
            self.recorder.checkpoint(self.step, self.spent)
        self.report.say(
            "oom", step=self.step, micro_batch=lower.micro_batch,
            sentence=f"The memory was too small for {self.micro} examples at a time; "
            f"the run goes on with {lower.micro_batch}, and equal updates.",
        )  # fmt: skip
        replace(lower, again=attempt() + 1).write(self.folder.fallback)
        raise Again

    def _go_back(self) -> None:
        """Return to the last checkpoint with half the rate, once."""
        at = self.step
        mine = 0 if self.rank else self.recorder.saved
        kept = mine if self.ranks == 1 else int(summed(self.accelerator, [mine])[0])
        if self._slowed or kept < 0:
            again = " again" if self._slowed else ""
            raise Stop(
                "nan",
                f"The loss is no number at step {at}{again}; look for damaged pixels "
                "or labels in the data, or take a lower rate.",
            )
        self._slowed = True
        self.fallback = self.fallback.slower()
        if not self.rank:
            self.fallback.write(self.folder.fallback)
        self._restore()
        self.report.say(
            "nan", step=at, back_to=self.step, rate_scale=self.fallback.rate_scale,
            sentence=f"The loss was no number at step {at}; the run went back to step "
            f"{self.step} with half the learning rate.",
        )  # fmt: skip

    def _restore(self) -> None:
        self.step, self.spent = self.recorder.restore()
        self._together()  # nobody writes while another still reads

    # ------------------------------------------------------------------------ orders
    def _obey(self) -> None:
        """Stop or wait if that is ordered; all processes do it at the same step."""
        stop, paused = self._orders()
        if paused and not stop:
            if not self.rank:
                self.recorder.checkpoint(self.step, self.spent)
            self.report.status(state="paused")
            self.report.say("paused", step=self.step)
            while paused and not stop:
                time.sleep(0.1)
                stop, paused = self._orders(now=True)
            self.report.status(state="running")
            self.report.say("resumed", step=self.step)
        if stop:
            raise Stop(stop)

    def _orders(self, *, now: bool = False) -> tuple[str, bool]:
        mine = self.control
        if self.ranks == 1:
            return mine.stop, mine.paused
        if not now and self.step % self._check_every:
            return "", False
        if mine.attention:
            self.accelerator.set_trigger()
        if not self.accelerator.check_trigger():
            return "", False
        orders = [mine.stop == "cancelled", mine.stop == "orphan", mine.paused]
        cancelled, orphan, paused = summed(self.accelerator, orders).tolist()
        stop = "cancelled" if cancelled else "orphan" if orphan else ""
        return stop, bool(paused)

    def _together(self) -> None:
        if self.ranks > 1:
            self.accelerator.wait_for_everyone()


def _finite(log: dict[str, float]) -> bool:
    """Whether the update may be followed; other numbers are only for looking at."""
    return math.isfinite(log["loss"]) and math.isfinite(log.get("norm", 0.0))


def _to(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {
        key: value.to(device, non_blocking=True)
        if isinstance(value, torch.Tensor)
        else value
        for key, value in batch.items()
    }
