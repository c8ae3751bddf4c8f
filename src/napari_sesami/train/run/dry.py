"""A trial of a few steps: how long one takes and how much memory it needs."""

from __future__ import annotations

import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import torch

from napari_sesami.common.errors import SesamiError
from napari_sesami.train.engine.engine import Engine
from napari_sesami.train.engine.fallback import out_of_memory
from napari_sesami.train.run.orders import Control
from napari_sesami.train.run.report import Report

if TYPE_CHECKING:
    from napari_sesami.train.run.folder import RunFolder

STEPS = 3
PATIENCE = 4.0  # s, after which the steps that were taken must do


def trial(folder: RunFolder, micro: int | None) -> dict[str, Any]:
    """Take a few steps and tell their cost.

    If memory gives out, the answer is ``{"smaller": …}``: a fresh process may try
    with so many examples at a time. If it cannot be, it is ``{"refused": why}``.
    """
    try:
        engine = Engine(folder, Report(folder, first=False), Control())
    except SesamiError as error:
        return {"refused": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"refused": f"{type(error).__name__}: {error}"}
    engine.micro = micro or engine.micro
    batches = engine.batches()
    seconds = []
    try:
        for step in range(min(STEPS, engine.config.steps)):
            engine.step = step
            began = time.monotonic()
            engine.update(batches)
            seconds.append(time.monotonic() - began)
            if sum(seconds) > PATIENCE:
                break
    except Exception as error:
        if isinstance(error, SesamiError):
            return {"refused": str(error)}
        if not out_of_memory(error):
            traceback.print_exc()
            return {"refused": f"{type(error).__name__}: {error}"}
        if engine.micro > 1:
            return {"smaller": engine.micro // 2}
        return {"refused": "The memory does not hold one example at a time."}
    return {
        "seconds_per_step": min(seconds[1:] or seconds),
        "memory_bytes": _memory(engine.accelerator.device),
        "micro_batch": engine.micro,
        "device": str(engine.accelerator.device),
    }


def _memory(device: torch.device) -> int:
    """Most memory that was in use: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
