"""What a run does when memory or numbers give out: smaller portions, smaller steps.

It is kept in the run folder, with what else the next process must do likewise.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from napari_sesami.common.checked import DamagedFile, read_checked
from napari_sesami.common.disk import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

ATTEMPT = "SESAMI_ATTEMPT"
_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True)
class Fallback:
    """How far a run has stepped down; kept in its folder for the next process.

    Attributes
    ----------
    micro_batch
        Examples at a time that are known to be few enough; None: not tried yet.
    rate_scale
        What is left of the learning rate.
    threads
        Threads of torch on a CPU; sums depend on their number, in the last digit.
    again
        Number of the attempt that goes on after one that ended for that purpose.
    """

    micro_batch: int | None = None
    rate_scale: float = 1.0
    threads: int | None = None
    again: int = 0

    @classmethod
    def read(cls, path: Path) -> Fallback:
        """Read how far a run has stepped down; not at all if it never did."""
        try:
            found: Fallback = read_checked(path, cls, most=1 << 16)
            return found
        except (OSError, DamagedFile):
            return cls()

    def write(self, path: Path) -> None:
        """Keep it."""
        write_atomic(path, json.dumps(asdict(self)).encode())

    def fewer(self, micro: int) -> Fallback | None:
        """Half as many examples at a time; None if it was one."""
        return replace(self, micro_batch=micro // 2) if micro > 1 else None

    def slower(self) -> Fallback:
        """Half the learning rate."""
        return replace(self, rate_scale=self.rate_scale / 2)


def attempt() -> int:
    """Tell how often this run was started again by itself or by torchrun."""
    by_torchrun = os.environ.get("TORCHELASTIC_RESTART_COUNT")
    return int(by_torchrun or os.environ.get(ATTEMPT, "0"))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory gave out, of the GPU or of the machine."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(s in str(error) for s in _SIGNS)
