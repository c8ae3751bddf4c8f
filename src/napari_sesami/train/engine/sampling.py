"""Which examples a step sees: a pure function of seed, step, rank and batch.

Nothing is remembered between steps, so that a run resumed in the middle of an epoch
sees what it would have seen. All steps in a row walk through epoch after epoch, each a
new order; a batch may reach from one epoch into the next, so that it is always full.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.train.recipe import Recipe

_ORDER, _EXAMPLE, _LOSS, _STEP = 1, 2, 3, 4  # streams of random numbers

Positions = tuple[int, ...]


@lru_cache(4)
def order(seed: int, epoch: int, n: int) -> NDArray[Any]:
    """Order of the examples in one epoch."""
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(n)


def locate(seed: int, n: int, position: int) -> tuple[int, int]:
    """Epoch and example at a position, counted from the start of the run."""
    epoch, place = divmod(position, n)
    return epoch, int(order(seed, epoch, n)[place])


def chunks(
    step: int, batch: int, micro: int, rank: int = 0, ranks: int = 1
) -> list[Positions]:
    """Positions that one process sees in one step, `micro` at a time."""
    mine = range(step * batch + rank, (step + 1) * batch, ranks)
    return [tuple(mine[i : i + micro]) for i in range(0, len(mine), micro)]


def loss_generator(seed: int, positions: Positions) -> torch.Generator:
    """Random numbers of the loss of one chunk."""
    return torch.Generator().manual_seed(_number(_LOSS, seed, positions[0]))


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch itself, which dropout draws from."""
    torch.manual_seed(_number(_STEP, seed, step, rank))


def _number(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


class RecipeDataset(Dataset[dict[str, "Tensor"]]):
    """The batches of a recipe, by the positions of their examples."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed

    def __getitem__(self, positions: Positions) -> dict[str, Tensor]:
        """Make the examples at these positions and put them together."""
        places = [self._place(p) for p in positions]
        step = positions[0] // self.recipe.config.batch
        return self.recipe.collate(self.recipe.examples_of_step(places, step))

    def _place(self, position: int) -> tuple[int, np.random.Generator]:
        epoch, index = locate(self.seed, self.recipe.n_examples, position)
        return index, np.random.default_rng([_EXAMPLE, self.seed, epoch, index])


def batches(
    recipe: Recipe, first: int, micro: int, rank: int, ranks: int, *, pin: bool
) -> Iterator[dict[str, Tensor]]:
    """Every chunk from step `first` to the end of the run."""
    config = recipe.config
    walk = (
        positions
        for step in range(first, config.steps)
        for positions in chunks(step, config.batch, micro, rank, ranks)
    )
    loader: DataLoader[dict[str, Tensor]] = DataLoader(
        RecipeDataset(recipe, config.seed),
        sampler=walk,
        batch_size=None,
        num_workers=config.workers,
        pin_memory=pin,
        generator=torch.Generator().manual_seed(0),  # or it would draw from torch's own
    )
    return iter(loader)
