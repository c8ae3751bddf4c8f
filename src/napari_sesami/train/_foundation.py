"""Recipe `foundation`: train sesami-nano from scratch on endless random scenes.

One command, `python -m napari_sesami.train._foundation RUN`, draws the scenes in
processes of its own, trains, logs JSON lines, keeps the newest state and resumes from
it. On a GPU it runs in bf16; on a CPU too, where the processor can.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Subset

from napari_sesami.models._nano_net import NanoNet
from napari_sesami.train._foundation_batches import Batches
from napari_sesami.train._foundation_losses import (
    corrective_click,
    iou,
    mask_loss,
    quarter,
    vote_loss,
)
from napari_sesami.train._foundation_scenes import write_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """What decides the outcome of a run, kept beside its weights."""

    steps: int = 4000
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
    """Net, optimiser, average weights and random state: all that a resumed run needs."""

    def __init__(self, settings: Settings, device: str = "cpu") -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.step = settings, torch.device(device), 0
        self.net = NanoNet(settings.dim).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        done = min(1.0, self.step / max(1, s.steps))
        return s.lr * min(1, (self.step + 1) / s.warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))

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
            tokens, batch["classes"].long(), batch["stroke_tokens"], batch["stroke_kinds"],
            self.log_tau.exp().clamp(0.03, 0.3), generator,
        )  # fmt: skip
        prompts, log = self._prompt_losses(batch, image, tokens, generator)
        loss = prompts + self.settings.vote_weight * vote
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(self.net, self.log_tau)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
        self._follow()
        self.step += 1
        log |= {"loss": loss.item(), "vote": vote.item(), "right": right.item()}
        return log | {"lr": self.rate(), "tau": self.log_tau.exp().item(), "norm": norm.item()}

    def _follow(self) -> None:
        """Let the average weights follow."""
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            mine = list(self.net.parameters())
            torch._foreach_lerp_(list(self.average.parameters()), mine, 1 - keep)

    def _answer(
        self, image: Tensor, tokens: Tensor, points: Tensor, labels: Tensor, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16):
            masks, score = self.net(image, tokens, points, labels, last)
        return masks, score

    def _prompt_losses(
        self, batch: dict[str, Tensor], image: Tensor, tokens: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """First answer, then one more after a random number of corrective clicks."""
        masks = batch["masks"].flatten(0, 1)
        truth = quarter(masks)
        points, labels, boxed = first_prompts(
            batch["clicks"].flatten(0, 1), batch["boxes"].flatten(0, 1), self.settings.box_share, generator
        )  # fmt: skip
        logits, score = self._answer(image, tokens, points, labels, None)
        each, real = mask_loss(logits, truth), iou(logits, truth)
        several = each[:, 1:]
        clicked = several.amin(1) + 0.05 * several.mean(1) + 0.3 * each[:, 0]
        loss = torch.where(boxed, each[:, 0], clicked).mean()
        loss = loss + self.settings.iou_weight * (score - real).square().mean()
        chosen = torch.where(boxed, 0, 1 + score[:, 1:].argmax(1))
        rows = torch.arange(len(chosen))
        last = logits[rows, chosen].detach()[:, None]
        log = {
            "click1": real[rows, chosen][~boxed].mean().item(),
            "box": real[boxed, 0].mean().item() if bool(boxed.any()) else float("nan"),
        }
        rounds = int(torch.randint(1, self.settings.most_clicks, (1,), generator=generator))
        for i in range(rounds):
            more, kind = corrective_click(last[:, 0].cpu(), truth.cpu(), masks.cpu(), generator)
            points = torch.cat([points, more[:, None].to(points)], 1)
            labels = torch.cat([labels, kind[:, None].to(labels)], 1)
            with torch.set_grad_enabled(i == rounds - 1):
                logits, score = self._answer(image, tokens, points, labels, last)
            last = logits[:, :1].detach()
        real = iou(logits, truth)
        loss = loss + mask_loss(logits[:, :1], truth).mean()
        loss = loss + self.settings.iou_weight * (score[:, :1] - real[:, :1]).square().mean()
        return loss, log | {f"click{rounds + 1}": real[~boxed, 0].mean().item()}

    def state(self) -> dict[str, Any]:
        """Everything, for a bit-for-bit continuation."""
        return {
            "step": self.step, "settings": asdict(self.settings), "net": self.net.state_dict(),
            "average": self.average.state_dict(), "optimiser": self.optimiser.state_dict(),
            "log_tau": self.log_tau.detach(),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state` gave."""
        self.step = int(state["step"])
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        with torch.no_grad():
            self.log_tau.copy_(state["log_tau"])


def first_prompts(
    clicks: Tensor, boxes: Tensor, box_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Start some prompts with a box and the others with a click; 2 and 3 are box corners."""
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
    for p, part in zip(parameters, flat.split([g.numel() for g in grads]), strict=True):
        p.grad = part.view_as(p) / dist.get_world_size()


def save_atomic(state: Any, path: Path) -> None:
    """Write a checkpoint so that a crash leaves the old one or the new one."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def keep_memory() -> None:
    """Stop glibc from handing every big tensor back to the system (twice as fast)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-3, 32 << 20)
            libc.mallopt(-1, 2**31 - 1)
            libc.mallopt(-2, 64 << 20)


def rank() -> int:
    """Number of this process under torchrun, 0 alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def batches(folder: Path, settings: Settings, start: int, workers: int) -> Iterator[Any]:
    """Batches from `start` on, drawn ahead by worker processes."""
    data = Batches(folder, settings.pairs, settings.objects, settings.seed + 100_000 * rank(), settings.steps)
    rest = Subset(data, range(start, settings.steps))
    ahead = {"prefetch_factor": 4} if workers else {}
    yield from DataLoader(rest, batch_size=None, num_workers=workers, **ahead)  # type: ignore[arg-type]


def draw_scenes(folder: Path, shards: int, processes: int) -> list[subprocess.Popen[bytes]]:
    """Draw the first shard here, the others in the background with low priority."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(folder, 0)
    command = [sys.executable, "-m", "napari_sesami.train._foundation_scenes", str(folder)]
    nice = ["nice", "-n", "10"] if os.name == "posix" else []
    return [
        subprocess.Popen([*nice, *command, "--first", str(1 + i), "--last", str(shards), "--step", str(processes)])
        for i in range(processes if shards > 1 else 0)
    ]  # fmt: skip


def run(
    folder: Path, settings: Settings, *, device: str, shards: int, processes: int,
    workers: int = 1, save_every: int = 100, stop_at: int | None = None,
) -> Trainer:  # fmt: skip
    """Train in a run folder, from where it stopped if it was begun before."""
    keep_memory()
    trainer, checkpoint = Trainer(settings, device), folder / "state.pt"
    helpers = draw_scenes(folder / "scenes", shards, 0 if rank() else processes)
    if checkpoint.exists():
        trainer.load(torch.load(checkpoint, map_location=device, weights_only=True))
    (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=1))
    try:
        with (folder / "events.jsonl").open("a") as log:
            for batch in batches(folder / "scenes", settings, trainer.step, workers):
                began = time.perf_counter()
                line = trainer.train_step(batch)
                line |= {"step": trainer.step, "seconds": time.perf_counter() - began, "time": time.time()}
                if rank():
                    if trainer.step == stop_at:
                        break
                    continue
                log.write(json.dumps({k: round(v, 6) for k, v in line.items()}) + "\n")
                log.flush()
                if trainer.step % save_every == 0:
                    save_atomic(trainer.state(), checkpoint)
                if trainer.step == stop_at:
                    break
    finally:
        for helper in helpers:
            helper.terminate()
    if not rank():
        save_atomic(trainer.state(), checkpoint)
    return trainer


def main(argv: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    ap = argparse.ArgumentParser(prog="sesami train foundation", description=__doc__)
    ap.add_argument("folder", type=Path, help="run folder; resumed if it exists")
    ap.add_argument("--steps", type=int, default=Settings.steps)
    ap.add_argument("--pairs", type=int, default=Settings.pairs)
    ap.add_argument("--objects", type=int, default=Settings.objects)
    ap.add_argument("--lr", type=float, default=Settings.lr)
    ap.add_argument("--vote-weight", type=float, default=Settings.vote_weight)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--threads", type=int, default=0)
    ap.add_argument("--shards", type=int, default=600, help="of 32 scenes each")
    ap.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    ap.add_argument("--stop-at", type=int, default=None)
    args = ap.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    if "RANK" in os.environ:
        dist.init_process_group("nccl" if args.device == "cuda" else "gloo")
    settings = Settings(
        steps=args.steps, pairs=args.pairs, objects=args.objects, lr=args.lr,
        vote_weight=args.vote_weight, seed=args.seed,
    )  # fmt: skip
    run(args.folder, settings, device=args.device, shards=args.shards,
        processes=args.processes, stop_at=args.stop_at)  # fmt: skip


if __name__ == "__main__":
    main()
