"""Recipe: what a kind of training must say; the engine does the rest."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from napari_sesami.train.errors import TrainError
from napari_sesami.train.foreign import imported, is_place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from torch import Tensor, nn

    from napari_sesami.train.config import RunConfig

RECIPES = {
    "sesami": "napari_sesami.train.sesami.recipe:Sesami",
    "semi": "napari_sesami.train.semi.recipe:Semi",
    "pairs-classifier": "napari_sesami.train.defects.recipe:PairsClassifier",
}
"""Name → "module:Class"; imported only when a run needs it."""


class Recipe(ABC):
    """One kind of training. The engine owns the loop; a recipe never sees it.

    Whatever draws at random must draw from the generator it is given (the engine also
    seeds torch's own before each step, for dropout), so that a resumed run repeats an
    uninterrupted one bit for bit. A recipe keeps no other state between steps; if it
    must, it gives it out in :meth:`state`.
    """

    name: ClassVar[str]
    """Name of its table in run.toml."""
    Config: ClassVar[type]
    """Frozen dataclass of its options; all have defaults."""
    score: ClassVar[str] = "score"
    """Key of the metric, larger is better, that tells the best checkpoint."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.data = folder / "data"

    @abstractmethod
    def prepare(self, device: torch.device) -> nn.Module:
        """Make the module whose parameters with `requires_grad` are trained.

        The same folder and seed must give the same module again: checkpoints hold
        only what is trained, and buffers. Mistakes in the data are a `TrainError`.
        """

    @property
    @abstractmethod
    def n_examples(self) -> int:
        """How many examples make an epoch."""

    @abstractmethod
    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Make one example on the CPU; `rng` depends on seed, epoch and index alone."""

    def examples_of_step(
        self, places: Sequence[tuple[int, np.random.Generator]], step: int
    ) -> list[dict[str, Tensor]]:
        """Make those of one step that a process takes at a time.

        A recipe whose steps are unlike (in the size of the views, say) makes fewer or
        other ones; its loss stays a mean over what the places stand for.
        """
        return [self.example(index, rng) for index, rng in places]

    @abstractmethod
    def loss(
        self, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Compute "loss" as a mean over the examples; other keys are only logged.

        `batch` is on the device of the module; `generator` lives on the CPU.
        """

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Put examples together; they are stacked unless a recipe knows better."""
        from torch.utils.data import default_collate

        batch: dict[str, Tensor] = default_collate(examples)
        return batch

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """Make the optimiser of the trained parameters."""
        import torch

        trained = [p for p in module.parameters() if p.requires_grad]
        return torch.optim.AdamW(trained, lr=self.config.rate)

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step: a short warm-up, then half a cosine."""
        warm = max(1, min(100, self.config.steps // 20))
        fall = 0.5 * (1 + math.cos(math.pi * step / self.config.steps))
        return min(1.0, (step + 1) / warm) * max(0.01, fall)

    def after_step(self, step: int) -> None:  # noqa: B027
        """Do what follows each update, such as an average of the weights."""

    def enough(self, step: int) -> bool:
        """Whether the run ends after this step, before its last one.

        All processes of a run must answer alike. One that should stop here, to be
        resumed, raises ``Stop("cancelled")``.
        """
        return False

    def state(self) -> dict[str, Any]:
        """Give tensors and numbers beyond the module that a resumed run needs."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take over what :meth:`state` gave."""

    def evaluate(self) -> dict[str, Any]:
        """Measure on what is never trained on; numbers, text, lists and dicts."""
        return {}

    def pictures(self, folder: Path) -> list[Path]:
        """Write a few small PNGs of what the module predicts now."""
        return []

    def finish(self, folder: Path) -> dict[str, Any]:
        """Write what the run was for (an adapter) into `folder`; tell facts of it."""
        return {}


def recipe_class(name: str) -> type[Recipe]:
    """Find a recipe by its name in `RECIPES`, or as ``"module:Class"``."""
    place = _place(name)
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise _not_loaded(name, error) from error
    return _checked(name, found)


def loaded_recipe(name: str) -> type[Recipe] | None:
    """Find a recipe as `recipe_class` does, but run nothing for it.

    None stands for a recipe of somebody else whose module is not imported yet.
    """
    try:
        found = imported(_place(name))
    except (ImportError, AttributeError) as error:
        raise _not_loaded(name, error) from error
    return None if found is None else _checked(name, found)


def _place(name: str) -> str:
    place = RECIPES.get(name, name)
    if not is_place(place):
        near = get_close_matches(name, RECIPES, 1, 0.4)
        hint = f"did you mean “{near[0]}”?" if near else f"take {_known()}."
        raise TrainError(f"There is no recipe “{name}”; {hint}")
    return place


def _not_loaded(name: str, error: Exception) -> TrainError:
    return TrainError(
        f"The recipe “{name}” cannot be loaded ({error}); check the spelling, and "
        "that its package is installed."
    )


def _checked(name: str, found: Any) -> type[Recipe]:
    if not (isinstance(found, type) and issubclass(found, Recipe)):
        raise TrainError(f"“{name}” is no recipe; take {_known()}.")
    return found


def _known() -> str:
    return ", ".join(f"“{name}”" for name in RECIPES) + ", or “module:Class”"
