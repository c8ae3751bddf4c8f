"""Recipe `pairs-classifier`: an encoder is fine-tuned on labelled pairs of defects.

After §2.3 of "Semiconductor Image Analysis using Data-Efficient Machine Learning": one
encoder for both magnifications, a head for each, averaged answers. What the run leaves
is the encoder: heads in closed form, thresholds and "unknown" are made on its features
as on any other's, and whole lots that it never saw decide whether it is used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_sesami.train.errors import TrainError
from napari_sesami.train.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from napari_sesami.train.config import RunConfig

WEIGHTS = "encoder.safetensors"
BATCH = 32
"""Defects that are looked at together where nothing is learnt."""


@dataclass(frozen=True)
class PairsClassifierConfig:
    """Options of the recipe.

    Attributes
    ----------
    encoder
        Name in the catalog, or a file, that is begun with.
    side
        Of the pictures that the net sees while it learns, pixels.
    head_rate
        The heads' learning rate as a multiple of the encoder's.
    decay
        Of the weights.
    smoothing
        Share of the truth that is spread over all classes.
    judge
        Compare with the frozen encoder at the end; else the tuned one is left as it is.
    """

    encoder: str = "sesami-nano"
    side: int = 128
    head_rate: float = 10.0
    decay: float = 0.05
    smoothing: float = 0.05
    judge: bool = True

    def __post_init__(self) -> None:
        if self.side < 32 or self.side % 32:
            raise TrainError("“side” must be a multiple of 32, such as 128.")
        if self.head_rate <= 0 or self.decay < 0:
            raise TrainError("“head_rate” must be above 0, “decay” 0 or more.")
        if not 0 <= self.smoothing < 1:
            raise TrainError("“smoothing” is a share, from 0 to below 1.")


class PairsClassifier(Recipe):
    """Tunes an encoder on defects with labels, and writes its weights."""

    name: ClassVar[str] = "pairs-classifier"
    Config: ClassVar[type] = PairsClassifierConfig
    score: ClassVar[str] = "right"

    def __init__(self, config: RunConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.options: PairsClassifierConfig = config.recipe_options

    def prepare(self, device: torch.device) -> nn.Module:
        """Read the defects, load the encoder, put heads on it."""
        import torch

        from napari_sesami.classify import load_encoder, open_lot, read_split
        from napari_sesami.train.defects.examples import DefectSquares
        from napari_sesami.train.defects.net import PairsNet

        self.lot = open_lot(self.data)
        held = read_split(self.data)
        self.names = sorted({str(d.label) for d in self.lot.defects})
        self.labels = np.array(
            [self.names.index(str(d.label)) for d in self.lot.defects]
        )
        self.held = np.array([d.id in held for d in self.lot.defects])
        self.rows = np.flatnonzero(~self.held)
        counts = np.bincount(self.labels[self.rows], minlength=len(self.names))
        if len(self.names) < 2 or not counts.all():
            raise TrainError(
                "Every class needs defects to learn from, and there must be two; label "
                "more."
            )
        weights = counts**-0.5
        weights /= weights[self.labels[self.rows]].mean()
        self.weights = torch.from_numpy(weights).float().to(device)
        self.squares = DefectSquares(self.lot, self.options.side)
        defects = self.lot.defects
        views = [v for v in ("high", "low") if any(d.picture(v) for d in defects)]
        if any(d.high and d.template for d in defects):
            views.append("difference")
        encoder = load_encoder(self.options.encoder, str(device))
        self.net = PairsNet(encoder, len(self.names), tuple(views)).to(device)
        self._standardise(device)
        return self.net

    def _standardise(self, device: torch.device) -> None:
        """Let every pooled number begin with mean 0 and deviation 1."""
        import torch

        found: dict[str, list[Tensor]] = {}
        self.net.eval()
        with torch.no_grad():
            for start in range(0, len(self.rows), BATCH):
                batch = self._batch(self.rows[start : start + BATCH], device)
                for view, (numbers, _) in self.net.pooled(batch).items():
                    found.setdefault(view, []).append(numbers)
            for view, parts in found.items():
                whole = torch.cat(parts)
                scale = whole.std(0, unbiased=False)
                self.net.get_buffer(f"mean_{view}").copy_(whole.mean(0))
                # what hardly varies must not be blown up
                least = 0.1 * scale.median()
                self.net.get_buffer(f"scale_{view}").copy_(scale.clamp(min=least))
        self.net.train()

    def _batch(self, rows: Any, device: torch.device) -> dict[str, Tensor]:
        batch = self.collate([self.squares.plain(int(k)) for k in rows])
        return {key: value.to(device) for key, value in batch.items()}

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """Let the heads learn faster than the encoder below them."""
        import torch

        rate = self.config.rate
        groups = [
            {"params": list(self.net.encoder.parameters()), "lr": rate},
            {
                "params": list(self.net.heads.parameters()),
                "lr": rate * self.options.head_rate,
            },
        ]
        return torch.optim.AdamW(groups, weight_decay=self.options.decay)

    @property
    def n_examples(self) -> int:
        """One for each defect that is learnt from."""
        return len(self.rows)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """A defect's pictures, turned and shifted, and its class."""
        import torch

        row = int(self.rows[index % len(self.rows)])
        drawn = self.squares.drawn(row, rng)
        return drawn | {"label": torch.tensor(int(self.labels[row]))}

    def loss(
        self, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Cross-entropy of the averaged answer, and of each head alone."""
        from torch.nn import functional as F

        from napari_sesami.train.defects.net import averaged

        parts, there = self.net(batch)
        label = batch["label"]
        weight = self.weights[label]
        both = averaged(parts, there)
        smooth = self.options.smoothing

        def cost(answers: Tensor) -> Tensor:
            hit = F.nll_loss(answers, label, reduction="none")
            return (1 - smooth) * hit - smooth * answers.mean(1)

        own = sum(cost(p) * t for p, t in zip(parts, there, strict=True))
        own = own / there.sum(0).clamp(min=1)
        loss = (weight * (cost(both) + own) / 2).mean()
        right = (both.argmax(1) == label).float().mean()
        return {"loss": loss, "learnt right": right}

    def evaluate(self) -> dict[str, Any]:
        """Ask the net's own heads about the held-out defects."""
        import torch

        from napari_sesami.common.cancel import check_cancelled
        from napari_sesami.train.defects.net import averaged

        judges = np.flatnonzero(self.held)
        if not len(judges):
            return {}
        device = next(self.net.parameters()).device
        self.net.eval()
        right: dict[str, list[bool]] = {}
        with torch.no_grad():
            for start in range(0, len(judges), BATCH):
                check_cancelled()
                rows = judges[start : start + BATCH]
                said = averaged(*self.net(self._batch(rows, device))).argmax(1)
                for k, answer in zip(rows, said.tolist(), strict=True):
                    name = self.names[self.labels[k]]
                    right.setdefault(name, []).append(answer == self.labels[k])
        self.net.train()
        hits = [hit for own in right.values() for hit in own]
        return {
            "right": float(np.mean(hits)),
            "defects": len(hits),
            "classes": {name: float(np.mean(own)) for name, own in right.items()},
        }

    def finish(self, folder: Path) -> dict[str, Any]:
        """Write the encoder, and let held-out defects judge it."""
        from napari_sesami.classify import LEARNT, load_encoder, mark_of
        from napari_sesami.train.defects.gate import judge_encoder

        learnt = sorted(mark_of(self.lot.defects[k]) for k in self.rows)
        path = folder / WEIGHTS
        self.net.encoder.save(
            path, {LEARNT: json.dumps(learnt), "tuned from": self.options.encoder}
        )
        facts: dict[str, Any] = {"weights": path.name, "learnt": len(learnt)}
        if self.options.judge and self.held.any():
            device = str(next(self.net.parameters()).device)
            verdict = judge_encoder(
                self.lot, self.names, self.held,
                load_encoder(self.options.encoder, device), load_encoder(path, device),
            )  # fmt: skip
            verdict.write(self.folder)
            facts |= {"wins": verdict.wins, "verdict": verdict.sentence}
        return facts
