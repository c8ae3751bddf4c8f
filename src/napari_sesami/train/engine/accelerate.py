"""The few things that the engine wants of accelerate."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch import distributed as dist

from napari_sesami.models import choose_device
from napari_sesami.train.engine.fallback import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from napari_sesami.train.config import RunConfig

_PATIENCE = timedelta(hours=6)
"""So long may one process measure or wait for a disk before the others give up."""


def make_accelerator(config: RunConfig) -> Accelerator:
    """Set up device, processes and precision of this process, once."""
    device = torch.device(choose_device(config.device).name)
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", device.index or 0)))
        torch.backends.cudnn.deterministic = True
    _meet("gloo" if device.type == "cpu" else "nccl")
    precision = "no" if config.precision == "full" else config.precision
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=precision,
    )


def _meet(backend: str) -> None:
    """Connect the processes of torchrun; accelerate takes the group as it is.

    Attempts share a store, in which those of the last attempt left their addresses.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return
    c10d: Any = dist  # its types hide what its documentation shows
    store, rank, size = next(c10d.rendezvous("env://", timeout=_PATIENCE))
    mine = c10d.PrefixStore(f"sesami-{attempt()}", store)
    dist.init_process_group(
        backend, store=mine, rank=rank, world_size=size, timeout=_PATIENCE
    )


def summed(accelerator: Accelerator, values: Sequence[float]) -> Tensor:
    """Sum numbers over all processes."""
    mine = torch.tensor([float(v) for v in values], device=accelerator.device)
    total: Tensor = accelerator.reduce(mine, "sum")
    return total


def sum_gradients(accelerator: Accelerator, trained: Sequence[nn.Parameter]) -> None:
    """Sum gradients over all processes.

    In one piece and by hand rather than by a wrapper of the module: a recipe may call
    parts of its module, in any order and number, and leave some of them out.
    """
    if accelerator.num_processes == 1:
        return
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    flat: Any = accelerator.reduce(torch.cat([g.flatten() for g in grads]), "sum")
    parts = torch.split(flat, [g.numel() for g in grads])
    for p, part in zip(trained, parts, strict=True):
        p.grad = part.view_as(p)
