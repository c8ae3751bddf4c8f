"""Labelled: what retrieval says of one plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Labelled:
    """What retrieval says of one plane.

    Attributes
    ----------
    labels
        (H, W) uint8 class ids.
    votes
        (H, W, C) float32 probabilities; channel k is class k + 1.
    novelty
        (H, W) float32: 1 − best similarity to anything labelled; high is "never seen".
    """

    labels: NDArray[np.uint8]
    votes: NDArray[np.float32]
    novelty: NDArray[np.float32]

    @property
    def margin(self) -> NDArray[np.float32]:
        """Best minus second-best probability; low is "undecided"."""
        if self.votes.shape[-1] < 2:
            return np.ones(self.labels.shape, np.float32)
        top = np.partition(self.votes, -2, axis=-1)
        return top[..., -1] - top[..., -2]
