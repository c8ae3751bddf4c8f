"""How each class fares: what is learnt, how sure the teacher is, what it accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

KEEP = 0.9
"""What the running numbers keep of their value in each step."""
LEARNT = 0.3
"""IoU on the labelled batch from which on a class counts as learnt."""


class ClassHealth:
    """Running numbers of every class; what a step adds counts once it is taken.

    A step that is repeated (memory gave out, a loss was no number) leaves no trace, so
    that a resumed run repeats an uninterrupted one bit for bit.

    Attributes
    ----------
    iou
        (C,) of the net's answers on the labelled batch, with what was seen lately.
    sureness
        (C,) mean probability of the teacher where it says this class.
    silent
        (C,) steps in a row without an accepted pixel.
    step
        Steps taken.
    """

    def __init__(self, classes: int) -> None:
        self.both = torch.zeros(classes, dtype=torch.float64)
        self.either = torch.zeros(classes, dtype=torch.float64)
        self.sureness = torch.ones(classes, dtype=torch.float64)
        self.silent = torch.zeros(classes, dtype=torch.int64)
        self.step = 0
        self._labelled: list[tuple[Tensor, Tensor]] = []
        self._weak: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def iou(self) -> Tensor:
        """(C,), 0 where a class was not seen."""
        return self.both / self.either.clamp_min(1e-9)

    def learnt(self, wanted: Tensor) -> bool:
        """Whether every wanted class (bool) is learnt."""
        return bool((self.iou[wanted] > LEARNT).all())

    def left_out(self, patience: int) -> Tensor:
        """(C,) bool: classes of which nothing was accepted for so many steps."""
        if not patience:
            return torch.zeros(len(self.silent), dtype=torch.bool)
        return self.silent >= patience

    def see_labelled(self, logits: Tensor, labels: Tensor) -> None:
        """Compare answers with the truth of a labelled batch."""
        n = len(self.both)
        known = labels < n
        said, true = logits.detach().argmax(1)[known], labels[known]
        hits = torch.bincount(true[said == true], minlength=n)
        all_ = torch.bincount(said, minlength=n) + torch.bincount(true, minlength=n)
        self._labelled.append((hits.cpu().double(), (all_ - hits).cpu().double()))

    def see_weak(self, labels: Tensor, sure: Tensor, accepted: Tensor) -> Tensor:
        """Count what the teacher says and what is accepted; the share by class."""
        n = len(self.silent)
        flat = labels.flatten()
        said = torch.bincount(flat, minlength=n).double().cpu()
        sums = torch.bincount(flat, sure.flatten().double(), minlength=n).cpu()
        taken = torch.bincount(flat[accepted.flatten()], minlength=n).double().cpu()
        self._weak.append((said, sums, taken))
        return torch.where(said > 0, taken / said.clamp_min(1), torch.nan)

    def take_step(self) -> None:
        """Let what was seen count."""
        if self._labelled:
            both, either = (sum(p) for p in zip(*self._labelled, strict=True))
            self.both = KEEP * self.both + both
            self.either = KEEP * self.either + either
        if self._weak:
            said, sums, taken = (sum(p) for p in zip(*self._weak, strict=True))
            seen = said > 0
            now = sums / said.clamp_min(1)
            # a class that is not said any more grows less sure, and easier to accept
            now = torch.where(seen, now, KEEP * self.sureness)
            self.sureness = KEEP * self.sureness + (1 - KEEP) * now
            self.silent = torch.where(taken > 0, 0, self.silent + 1)
        self.forget()
        self.step += 1

    def forget(self) -> None:
        """Drop what was seen in a step that was not taken."""
        self._labelled, self._weak = [], []

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "both": self.both, "either": self.either, "sureness": self.sureness,
            "silent": self.silent, "step": self.step,
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.both, self.either = state["both"], state["either"]
        self.sureness, self.silent = state["sureness"], state["silent"]
        self.step = int(state["step"])
        self.forget()
