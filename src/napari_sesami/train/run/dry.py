"""A trial of a few steps: how long one takes and how much memory it needs."""

from __future__ import annotations

import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import torch

from napari_sesami.train.engine.engine import Engine
from napari_sesami.train.engine.fallback import out_of_memory
from napari_sesami.train.run.orders import Control

if TYPE_CHECKING:
    from napari_sesami.train.run.folder import RunFolder
    from napari_sesami.train.run.report import Report

STEPS = 3


def trial(
    folder: RunFolder, report: Report, micro: int | None
) -> dict[str, Any] | None:
    """Take a few steps and tell their cost; None after saying why it cannot be.

    If memory gives out, the answer is ``{"smaller": …}``: a fresh process may try
    with so many examples at a time.
    """
    full = 0
    try:
        engine = Engine(folder, report, Control())
        engine.micro = micro or engine.micro
        steps = min(STEPS, engine.config.steps)
        full = engine.micro
        return _steps(engine, steps)
    except ValueError as error:
        report.say("refused", sentence=str(error))
        return None
    except Exception as error:
        if not out_of_memory(error) or not full:
            traceback.print_exc()
            report.say("refused", sentence=f"{type(error).__name__}: {error}")
            return None
    if full > 1:
        return {"smaller": full // 2}
    report.say("refused", sentence="The memory does not hold one example at a time.")
    return None


def _steps(engine: Engine, steps: int) -> dict[str, Any]:
    batches = engine.batches()
    seconds = []
    for engine.step in range(steps):
        began = time.monotonic()
        engine.update(batches)
        seconds.append(time.monotonic() - began)
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
