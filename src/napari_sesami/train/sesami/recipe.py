"""Recipe `sesami`: LoRA on query and value of a prompt model's encoder.

After §2.1 of "Semiconductor Image Analysis using Data-Efficient Machine Learning": the
model is frozen, 1-2 % of its parameters are trained on prompts that are simulated from
masks: points, corrective points, loose boxes, and partial masks smaller than the truth.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_sesami.train.errors import TrainError
from napari_sesami.train.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from napari_sesami.train.config import RunConfig
    from napari_sesami.train.sesami.gate import Verdict

ADAPTER = "adapter.safetensors"


@dataclass(frozen=True)
class SesamiConfig:
    """Options of the recipe.

    Attributes
    ----------
    model
        Name in the catalog, or a file.
    image_size
        Another view size for a SAM; 0 takes that of its training.
    adapter
        A file to go on from; empty begins at the base.
    rival
        The adapter to beat, empty for the bare base.
    rank, alpha
        Width of the pairs, 0 takes what trains about 1.4 %; scale, 0 takes the rank.
    blocks
        How many of the last encoder blocks are trained; 0 trains all, -1 none.
    decoder
        Train the mask decoder too.
    objects
        Prompted in each view.
    box_share, mask_share
        How many prompts begin with a box; how many batches with partial masks.
    most_clicks
        Corrective ones among them.
    variants, cache_mb
        With late blocks alone: views per object, and memory for what the trunk gave.
    noise_share
        How many views get the noise that was fitted to the scans, if the run has it.
    measured, gate_clicks
        Held-out objects, and most clicks on each, for the verdict.
    """

    model: str = "sesami-nano"
    image_size: int = 0
    adapter: str = ""
    rival: str = ""
    rank: int = 0
    alpha: float = 0.0
    blocks: int = 0
    decoder: bool = False
    objects: int = 4
    box_share: float = 0.3
    mask_share: float = 0.2
    most_clicks: int = 5
    variants: int = 8
    cache_mb: int = 1024
    noise_share: float = 0.3
    measured: int = 24
    gate_clicks: int = 6

    def __post_init__(self) -> None:
        if self.blocks < 0 and not self.decoder:
            raise TrainError(
                "With blocks = -1 and without the decoder nothing would be trained; "
                "set decoder = true, or blocks = 0 for all of them."
            )
        for key in ("rank", "alpha", "cache_mb", "image_size"):
            if getattr(self, key) < 0:
                raise TrainError(f"“{key}” must be 0 or more.")
        for key in ("objects", "variants", "measured", "gate_clicks"):
            if getattr(self, key) < 1:
                raise TrainError(f"“{key}” must be 1 or more.")
        if self.most_clicks < 2:
            raise TrainError("“most_clicks” must be 2 or more: one is corrective.")
        for key in ("box_share", "mask_share", "noise_share"):
            if not 0 <= getattr(self, key) <= 1:
                raise TrainError(f"“{key}” is a share, from 0 to 1.")


class Sesami(Recipe):
    """Tunes a prompt model on labelled pictures and writes an adapter."""

    name: ClassVar[str] = "sesami"
    Config: ClassVar[type] = SesamiConfig
    score: ClassVar[str] = "mIoU"

    def __init__(self, config: RunConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.options: SesamiConfig = config.recipe_options
        self._cache: dict[tuple[int, int], tuple[Tensor, ...]] = {}
        self._cached = 0
        self._latest: dict[str, Any] = {}

    def prepare(self, device: torch.device) -> nn.Module:
        """Load the base, attach what is trained, read the pictures."""
        from napari_sesami.train.fitted import read_fitted
        from napari_sesami.train.sesami.gate import targets
        from napari_sesami.train.sesami.net import trainable
        from napari_sesami.train.sesami.pictures import read_set
        from napari_sesami.train.sesami.views import Examples

        o = self.options
        self.labelled = read_set(self.data)
        self.model: Any = self._load(str(device))
        start = self._attach()
        self.face = trainable(self.model, start)
        self.caching = start > 0 and o.cache_mb > 0
        self.examples = Examples(
            self.labelled.training,
            self.model.tile,
            magnify=bool(getattr(self.model, "magnify", False)),
            closer=bool(getattr(self.model, "closer", False)),
            objects=o.objects,
            seed=self.config.seed,
            noise=read_fitted(self.data),
            noise_share=o.noise_share,
        )
        if not len(self.examples):
            raise TrainError(
                "All labelled objects are held out, so nothing is left to learn from; "
                "label more of them."
            )
        self.targets = targets(self.labelled, o.measured, self.config.seed)
        return self.face.net

    def _load(self, device: str) -> Any:
        from napari_sesami.models import load_prompt_model

        size = self.options.image_size or None
        return load_prompt_model(self.options.model, device, image_size=size)

    def _attach(self) -> int:
        """Put LoRA where it was asked for; give the first block that is trained."""
        from napari_sesami.models import (
            add_lora,
            count_blocks,
            free_decoder,
            last_blocks,
            net_of,
            pairs,
            use_adapter,
        )

        o = self.options
        if o.adapter:
            use_adapter(self.model, o.adapter)
            for _, pair in pairs(net_of(self.model)):
                for half in (pair.lora_A, pair.lora_B):
                    half["default"].weight.requires_grad_(True)
        else:
            blocks = () if o.blocks < 0 else last_blocks(self.model, o.blocks)
            seed = self.config.seed
            add_lora(self.model, o.rank, blocks, o.alpha, seed=seed)
        if o.decoder:
            free_decoder(self.model)
        chosen = self.model.lora.blocks
        return min(chosen) if chosen else count_blocks(self.model)

    @property
    def n_examples(self) -> int:
        """One for each labelled object that is learnt from."""
        return len(self.examples)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """A view around an object, and prompts on some of what it shows."""
        import torch

        index %= len(self.examples)
        variant = int(rng.integers(self.options.variants)) if self.caching else 0
        # views that come again have their activations ready
        view = (
            np.random.default_rng([self.config.seed, index, variant])
            if self.caching
            else rng
        )
        drawn = self.examples.draw(index, view, rng)
        return drawn | {"which": torch.tensor([index, variant])}

    def loss(
        self, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What the prompts of a batch cost."""
        import torch

        from napari_sesami.train.sesami.losses import prompt_losses
        from napari_sesami.train.sesami.prompts import first_prompts

        emb = self.face.embed(self._trunk(batch))
        points, labels, single = first_prompts(batch, self.options.box_share, generator)
        last = None
        if float(torch.rand((), generator=generator)) < self.options.mask_share:
            last = batch["partial"].flatten(0, 1)[:, None]
            single = torch.ones_like(single)
        most = self.options.most_clicks
        rounds = int(torch.randint(1, most, (1,), generator=generator))
        answer = partial(self.face.answer, emb, batch["size"])
        loss, log = prompt_losses(
            answer, points, labels, single, batch["masks"].flatten(0, 1), generator,
            rounds=rounds, last=last,
        )  # fmt: skip
        # the same keys at every step; a mean over nothing is NaN, which is not logged
        last_click = log[f"click{rounds + 1}"]
        told = {"click1": log["click1"], "box": log["box"], "corrected": last_click}
        on = loss.device
        return {
            "loss": loss,
            **{k: torch.tensor(v, device=on) for k, v in told.items()},
        }

    def _trunk(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """What the trained blocks begin with: computed, or kept from last time."""
        import torch

        if not self.caching:
            return self.face.trunk(batch["image"], batch["size"])
        keys = [(int(i), int(v)) for i, v in batch["which"].tolist()]
        missing = [at for at, key in enumerate(keys) if key not in self._cache]
        rows = {k: self._cache[k] for k in keys if k in self._cache}
        for at in missing:
            one = slice(at, at + 1)
            made = self.face.trunk(batch["image"][one], batch["size"][one])
            rows[keys[at]] = tuple(p.cpu() for p in made)
            self._keep(keys[at], rows[keys[at]])
        device = batch["image"].device
        stacks = zip(*(rows[k] for k in keys), strict=True)
        return tuple(torch.cat(stack).to(device) for stack in stacks)

    def _keep(self, key: tuple[int, int], parts: tuple[Tensor, ...]) -> None:
        """Remember activations, as long as memory for them lasts."""
        size = sum(p.numel() * p.element_size() for p in parts)
        if self._cached + size <= self.options.cache_mb << 20:
            self._cache[key] = parts
            self._cached += size

    def evaluate(self) -> dict[str, Any]:
        """Click through a few held-out objects."""
        from napari_sesami.common.cancel import check_cancelled
        from napari_sesami.train.sesami.gate import by_class, examine, overall

        if not self.targets:
            return {}
        few = self.targets[:: max(1, len(self.targets) // 8)]
        scores = examine(self.model, self.labelled.held_out, few, 3, check_cancelled)
        rows = by_class(scores)
        total = {k: v for k, v in overall(rows).items() if k != "clicks to 0.9"}
        self._latest = {**total, "objects": len(few), "classes": rows}
        return self._latest

    def pictures(self, folder: Path) -> list[Path]:
        """Held-out objects with what one click gives now."""
        from napari_sesami.train.sesami.gate import first_answer, panel

        made = []
        held = self.labelled.held_out
        for i, target in enumerate(self.targets[:3]):
            path = folder / f"object-{i}.png"
            found = first_answer(self.model, held, target)
            panel(path, held[target.picture], target.region, (found,))
            made.append(path)
        return made

    def finish(self, folder: Path) -> dict[str, Any]:
        """Write the adapter, and let the gate judge it."""
        from napari_sesami.models import describe, save_adapter

        card = describe(self.model, **self._facts())
        path = save_adapter(folder / ADAPTER, self.model, card)
        verdict = self._judged(path)
        return {
            "adapter": path.name,
            "parameters": card.parameters,
            "share": card.share,
            "wins": verdict.wins,
            "verdict": verdict.sentence,
            "notes": list(self.labelled.notes),
        }

    def _facts(self) -> dict[str, Any]:
        pictures = self.labelled.training
        sizes = [p.pixel_size for p in pictures if p.pixel_size]
        units = sorted({p.unit for p in pictures if p.unit})
        return {
            "classes": tuple(self.labelled.classes.values()),
            "normalisations": {p.scan: p.normalisation for p in pictures},
            "pixel_sizes": (min(sizes), max(sizes)) if sizes else (),
            "unit": units[0] if len(units) == 1 else "",
            "metrics": self._latest,
            "title": self.config.name,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def _judged(self, adapter: Path) -> Verdict:
        """Measure on a fresh copy, so that nothing that is trained changes."""
        from napari_sesami.train.sesami.gate import judge

        o = self.options
        return judge(
            self._load(str(self.model.device)),
            adapter,
            self.labelled,
            self.folder,
            rival=Path(o.rival) if Path(o.rival).is_file() else None,
            count=o.measured,
            most=o.gate_clicks,
            seed=self.config.seed,
        )
