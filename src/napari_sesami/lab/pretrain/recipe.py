"""Recipe `foundation`: train sesami-nano on endless random scenes.

The scenes are drawn by processes of their own while the training runs. Prompts and
strokes are learnt together: masks of objects from simulated clicks and boxes, and
tokens that vote as `retrieve` lets them.
"""

from __future__ import annotations

import copy
import ctypes
import math
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.distributed as dist
from torch import nn

from napari_sesami.lab.pretrain.batches import SisterCrops, pairs_at, side_of_step
from napari_sesami.lab.pretrain.chain import Truth, chain_losses
from napari_sesami.lab.pretrain.curriculum import FILE, Curriculum, Shares
from napari_sesami.lab.pretrain.export import run_facts, write_bundle
from napari_sesami.lab.pretrain.losses import vote_loss
from napari_sesami.lab.pretrain.shards import PER_SHARD, draw_in_background, write_shard
from napari_sesami.models import Nano, NanoNet
from napari_sesami.train import Recipe, Stop, TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from napari_sesami.train import RunConfig


LESSONS = {
    "views": "some steps with views of 384 to 768 pixels, and large scenes from afar",
    "thin": "three of ten objects are thin, where there are thin ones",
    "prompts": "clicks near borders, strokes, boxes that cut or leave much room",
    "named": "nested readings of a click each have a candidate of their own",
    "pixels": "half of the loss of masks is taken at pixels instead of cells",
    "honest": "scores are measured on the drawn masks, for all candidates",
    "judge": "a head that scores masks by what was drawn",
    "curriculum": "families that are answered badly are drawn more often",
}
"""What the recipe has learnt to teach; each can be left out, to see what it brings."""


@dataclass(frozen=True)
class FoundationConfig:
    """Options of the recipe.

    Attributes
    ----------
    weights
        What to begin with: a file, "bundled", or nothing for random numbers.
    minutes
        Of computing, after which the run ends and the rate has fallen; 0: as long as
        the steps take.
    objects
        Prompted in each crop.
    warmup
        Steps in which the rate grows.
    weight_decay, ema
        Of the optimiser; of the average weights, which are the result.
    vote_weight, iou_weight
        Of the votes, and of the error in the predicted overlap.
    box_share, most_clicks
        How many prompts begin with a box; most clicks on one object.
    dim
        Width of the net; given weights have their own.
    shards, drawers
        Of scenes, drawn meanwhile by so many processes.
    documented_share
        Most crops that come from shards of the documented families.
    stop_at
        A step after which the run stops and can be resumed; 0: none.
    lessons
        Names of `LESSONS`; none of them gives the first recipe, and runs that do not
        say go on with it.
    """

    weights: str = ""
    minutes: float = 0.0
    objects: int = 4
    warmup: int = 150
    weight_decay: float = 0.03
    ema: float = 0.998
    vote_weight: float = 1.0
    iou_weight: float = 0.5
    box_share: float = 0.3
    most_clicks: int = 5
    dim: int = 128
    shards: int = 600
    drawers: int = 1
    documented_share: float = 0.3
    stop_at: int = 0
    lessons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("minutes", "drawers", "stop_at"):
            if getattr(self, key) < 0:
                raise TrainError(f"“{key}” must be 0 or more.")
        for key in ("objects", "warmup", "dim", "shards"):
            if getattr(self, key) < 1:
                raise TrainError(f"“{key}” must be 1 or more.")
        if self.most_clicks < 2:
            raise TrainError("“most_clicks” must be 2 or more: one is corrective.")
        unknown = set(self.lessons) - set(LESSONS)
        if unknown:
            raise TrainError(
                f"There is no lesson “{min(unknown)}”; take {', '.join(LESSONS)}."
            )
        for key in ("box_share", "documented_share", "ema"):
            if not 0 <= getattr(self, key) <= 1:
                raise TrainError(f"“{key}” is a share, from 0 to 1.")


class Pretraining(nn.Module):
    """All that is trained: the net, and the temperature of the votes."""

    def __init__(self, net: NanoNet) -> None:
        super().__init__()
        self.net = net
        self.log_tau = nn.Parameter(torch.tensor(math.log(0.08)))


class Foundation(Recipe):
    """Trains the net of the bundled model and writes the average of its weights.

    An example is two crops of one scene; the batch counts scenes.
    """

    name: ClassVar[str] = "foundation"
    Config: ClassVar[type] = FoundationConfig

    def __init__(self, config: RunConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.options: FoundationConfig = config.recipe_options
        self.scenes = folder / "scenes"
        o = self.options
        teaches = "curriculum" in o.lessons
        ahead = 2 * config.workers + 2  # drawn before their step: two for each process
        first = os.environ.get("RANK", "0") == "0"
        self.curriculum = Curriculum(folder / FILE, ahead, first) if teaches else None
        self.crops = SisterCrops(
            self.scenes, o.objects, o.documented_share, o.box_share, o.lessons,
            Shares(folder / FILE) if teaches else None,
        )  # fmt: skip
        self.seconds = 0.0
        self._steps, self._began = 0, None  # type: tuple[int, float | None]

    def __getstate__(self) -> dict[str, Any]:
        """Let processes that prepare examples have what these need."""
        keys = ("config", "folder", "data", "options", "scenes", "crops")
        return {key: self.__dict__[key] for key in keys}

    def prepare(self, device: torch.device) -> nn.Module:
        """Draw the first scenes, let others draw more, make or load the net."""
        _keep_memory()
        o = self.options
        self.scenes.mkdir(parents=True, exist_ok=True)
        write_shard(self.scenes, 0)
        if self.curriculum is not None:
            self.curriculum.write()
        if os.environ.get("RANK", "0") == "0":
            self._drawers = draw_in_background(self.scenes, o.shards, o.drawers)
        if o.weights:
            given = Nano.bundled if o.weights == "bundled" else Nano.from_file
            args = () if o.weights == "bundled" else (o.weights,)
            net = given(*args, device="cpu").net.train()
            net = with_judge(net) if "judge" in o.lessons else net
        else:
            net = NanoNet(o.dim, judge="judge" in o.lessons)
        self.module = Pretraining(net).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net: NanoNet = self.module.net
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        return self.module

    @property
    def n_examples(self) -> int:
        """One for each scene, also those that are still to be drawn."""
        return self.options.shards * PER_SHARD

    def example(self, index: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Two crops of any scene that is drawn already."""
        return self.crops.draw(rng)

    def examples_of_step(
        self, places: Sequence[tuple[int, np.random.Generator]], step: int
    ) -> list[dict[str, Tensor]]:
        """Crops of one side, so many that a step has about as many pixels as usual."""
        side = self.crops.fitting(side_of_step(self.config.seed, step))
        few = places[: pairs_at(side, len(places))]
        return [self.crops.draw(rng, side, step) for _, rng in few]

    def collate(self, examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Put crops in one row; sisters stay neighbours."""
        return {k: torch.cat([e[k] for e in examples]) for k in examples[0]}

    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW that lets matrices and kernels decay, but neither biases nor norms."""
        decay = [p for p in module.parameters() if p.ndim > 1]
        plain = [p for p in module.parameters() if p.ndim <= 1]
        groups = [
            {"params": decay, "weight_decay": self.options.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.config.rate, betas=(0.9, 0.98))

    def rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to 0.02, over steps or minutes."""
        o = self.options
        late = self.seconds / (60 * o.minutes) if o.minutes else 0.0
        done = min(1.0, max(step / self.config.steps, late))
        fall = 0.02 + 0.49 * (1 + math.cos(math.pi * done))
        return min(1.0, (step + 1) / o.warmup) * fall

    def loss(
        self, batch: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What prompts and votes cost; only the net itself computes in half."""
        if self._began is None:
            self._began = time.perf_counter()
        o, on = self.options, batch["image"].device.type
        half, kind = torch.is_autocast_enabled(on), torch.get_autocast_dtype(on)

        def answer(
            points: Tensor, labels: Tensor, last: Tensor | None
        ) -> tuple[Tensor, Tensor]:
            # no cache: some versions of torch keep copies made without gradients
            with torch.autocast(on, kind, enabled=half, cache_enabled=False):
                masks, score = self.net(image, tokens, points, labels, last)
            return masks, score

        image, tokens = self.net.image_encoder(batch["image"])
        with torch.autocast(on, enabled=False):
            tau = self.module.log_tau.exp()
            vote, right = vote_loss(
                tokens, batch["classes"].long(), batch["stroke_tokens"],
                batch["stroke_kinds"], tau.clamp(0.03, 0.3), generator,
            )  # fmt: skip
            rounds = int(torch.randint(1, o.most_clicks, (1,), generator=generator))
            flat = {k: v.flatten(0, 1) for k, v in batch.items() if k in ASKED}
            used = (flat["labels"] >= 0).any(0)
            prompts, log = chain_losses(
                answer, flat["points"][:, used], flat["labels"][:, used],
                flat["single"], self._truth(flat), generator,
                rounds=rounds, iou_weight=o.iou_weight,
            )  # fmt: skip
        if self.curriculum is not None:
            each = len(log.first) // len(batch["family"])
            families = batch["family"].repeat_interleave(each)
            self.curriculum.add(families, 0.5 * (log.first + log.last))
        # the same keys at every step; a mean over nothing is NaN, which is not logged
        return {
            "loss": prompts + o.vote_weight * vote,
            "vote": vote,
            "right": right,
            "tau": tau,
            "click1": log.click1,
            "box": log.box,
            "corrected": log.corrected,
            "judged": log.judged,
        }

    def _truth(self, flat: dict[str, Tensor]) -> Truth:
        return Truth(
            flat["masks"], flat.get("pixels"), flat.get("weights"),
            flat["named"], flat["given"], flat["place"],
            honest="honest" in self.options.lessons,
        )  # fmt: skip

    def after_step(self, step: int) -> None:
        """Let the average weights follow, and count the time."""
        keep = min(self.options.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            mine: list[Tensor] = list(self.net.parameters())
            average: list[Tensor] = list(self.average.parameters())
            torch._foreach_lerp_(average, mine, 1 - keep)
        self._steps = step + 1
        if self.curriculum is not None:
            self.curriculum.after_step(step)
        if self._began is not None:
            self.seconds += time.perf_counter() - self._began
            self._began = None
        if self.options.minutes and dist.is_initialized():
            # the clock of the first process, so that all fall and end together
            device = self.module.log_tau.device
            clock = torch.tensor([self.seconds], dtype=torch.float64, device=device)
            dist.broadcast(clock, 0)
            self.seconds = float(clock)

    def enough(self, step: int) -> bool:
        """Whether the minutes are used up; stop where that was asked for."""
        o = self.options
        if step == o.stop_at:
            raise Stop("cancelled")
        return bool(o.minutes) and self.seconds >= 60 * o.minutes

    def state(self) -> dict[str, Any]:
        """The average weights, what net they fit, and the time."""
        kept = {
            "average": self.average.state_dict(),
            "net": self.net.config,
            "seconds": self.seconds,
            "steps": self._steps,
        }
        if self.curriculum is not None:
            kept["curriculum"] = self.curriculum.state()
        return kept

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state` gave."""
        self.average.load_state_dict(state["average"])
        self.seconds, self._steps = float(state["seconds"]), int(state["steps"])
        if self.curriculum is not None:
            self.curriculum.load_state(state["curriculum"])

    def finish(self, folder: Path) -> dict[str, Any]:
        """Write the average weights and their card, as they are bundled."""
        facts = run_facts(self.config, self._steps)
        path = write_bundle(self.average, facts, folder)
        return {"weights": path.name, "minutes": self.seconds / 60}


ASKED = (
    "points", "labels", "single", "masks", "pixels", "weights", "named", "given",
    "place",
)  # fmt: skip
"""What a batch holds for each object of each crop."""


def with_judge(net: NanoNet) -> NanoNet:
    """Give a net the head that judges masks, which at first changes nothing."""
    if net.config.get("judge"):
        return net
    made = NanoNet(**net.config, judge=True)
    made.load_state_dict(net.state_dict(), strict=False)
    return made


def _keep_memory() -> None:
    """Stop glibc from handing every big tensor back to the system (twice as fast)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-3, 32 << 20)
            libc.mallopt(-1, 2**31 - 1)
            libc.mallopt(-2, 64 << 20)
