"""The trainer of sesami-nano: one step of learning, and all the state it needs."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn

from napari_sesami.lab.pretrain.losses import vote_loss
from napari_sesami.models import NanoNet
from napari_sesami.train.sesami.losses import prompt_losses

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """What decides the outcome of a run, kept beside its weights."""

    steps: int = 4000
    minutes: float = 0.0  # 0: as long as the steps take; else time ends it too
    pairs: int = 4
    objects: int = 4
    lr: float = 8e-4
    warmup: int = 150
    weight_decay: float = 0.03
    ema: float = 0.998
    vote_weight: float = 1.0
    iou_weight: float = 0.5
    box_share: float = 0.3
    most_clicks: int = 5
    seed: int = 0
    dim: int = 128


class Trainer:
    """Net, optimiser, average weights and clock: all that a resumed run needs."""

    def __init__(self, settings: Settings, device: str = "cpu") -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, torch.device(device)
        self.step, self.spent = 0, 0.0
        self.net = NanoNet(settings.dim).to(
            self.device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        self.log_tau = nn.Parameter(torch.tensor(math.log(0.08), device=self.device))
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        decay = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1] + [self.log_tau]
        groups = [
            {"params": decay, "weight_decay": settings.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98))

    def rate(self) -> float:
        """Learning rate of the present step: linear warm-up, then half a cosine."""
        s = self.settings
        late = self.spent / (60 * s.minutes) if s.minutes else 0.0
        done = min(1.0, max(self.step / max(1, s.steps), late))
        fall = 0.02 + 0.49 * (1 + math.cos(math.pi * done))
        return s.lr * min(1, (self.step + 1) / s.warmup) * fall

    @property
    def finished(self) -> bool:
        """Whether steps or minutes are used up."""
        s = self.settings
        return self.step >= s.steps or bool(s.minutes and self.spent >= 60 * s.minutes)

    def train_step(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """One update; the numbers of its log line."""
        seed = (self.settings.seed * 7919 + self.step) * 64 + rank()
        generator = torch.Generator().manual_seed(seed)
        batch = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            image, tokens = self.net.image_encoder(batch["image"])
        vote, right = vote_loss(
            tokens, batch["classes"].long(),
            batch["stroke_tokens"], batch["stroke_kinds"],
            self.log_tau.exp().clamp(0.03, 0.3), generator,
        )  # fmt: skip
        prompts, log = self._prompt_losses(batch, image, tokens, generator)
        loss = prompts + self.settings.vote_weight * vote
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        share_gradients(self.net, self.log_tau)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
        self._follow()
        self.step += 1
        log |= {"loss": loss.item(), "vote": vote.item(), "right": right.item()}
        return log | {
            "lr": self.rate(),
            "tau": self.log_tau.exp().item(),
            "norm": norm.item(),
        }

    def _follow(self) -> None:
        """Let the average weights follow."""
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            mine = list(self.net.parameters())
            torch._foreach_lerp_(list(self.average.parameters()), mine, 1 - keep)

    def _answer(
        self,
        image: Tensor,
        tokens: Tensor,
        points: Tensor,
        labels: Tensor,
        last: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16):
            masks, score = self.net(image, tokens, points, labels, last)
        return masks, score

    def _prompt_losses(
        self,
        batch: dict[str, Tensor],
        image: Tensor,
        tokens: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, float]]:
        """What the prompts of a batch cost."""
        points, labels, boxed = first_prompts(
            batch["clicks"].flatten(0, 1), batch["boxes"].flatten(0, 1),
            self.settings.box_share, generator,
        )  # fmt: skip
        most = self.settings.most_clicks
        rounds = int(torch.randint(1, most, (1,), generator=generator))
        return prompt_losses(
            partial(self._answer, image, tokens), points, labels, boxed,
            batch["masks"].flatten(0, 1), generator,
            rounds=rounds, iou_weight=self.settings.iou_weight,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Everything, for a bit-for-bit continuation."""
        return {
            "step": self.step,
            "spent": self.spent,
            "settings": asdict(self.settings),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "log_tau": self.log_tau.detach(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state` gave."""
        self.step, self.spent = int(state["step"]), float(state.get("spent", 0.0))
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        with torch.no_grad():
            self.log_tau.copy_(state["log_tau"])


def first_prompts(
    clicks: Tensor, boxes: Tensor, box_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Start some prompts with a box (corners 2 and 3), the others with a click."""
    boxed = torch.rand(len(clicks), generator=generator).to(clicks.device) < box_share
    points = torch.stack([clicks, boxes[:, :2] - 0.5, boxes[:, 2:] - 0.5], 1)
    labels = torch.where(
        boxed[:, None], torch.tensor([-1, 2, 3], device=clicks.device),
        torch.tensor([1, -1, -1], device=clicks.device),
    )  # fmt: skip
    return points, labels, boxed


def share_gradients(net: nn.Module, *more: nn.Parameter) -> None:
    """Average gradients over the processes of torchrun; nothing to do for one."""
    if not dist.is_initialized():
        return
    parameters = [p for p in (*net.parameters(), *more) if p.requires_grad]
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    for p, part in zip(
        parameters, torch.split(flat, [g.numel() for g in grads]), strict=True
    ):
        p.grad = part.view_as(p) / dist.get_world_size()


def rank() -> int:
    """Number of this process under torchrun, 0 alone."""
    return dist.get_rank() if dist.is_initialized() else 0
