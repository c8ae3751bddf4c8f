"""Keep triton out of a process that draws with Mesa.

Triton and Mesa's software renderer each bring an LLVM of their own. Where Mesa's is
loaded first (napari's canvas under llvmpipe: virtual machines, remote desktops, test
servers), importing triton afterwards ends the process with a segmentation fault, and
torchvision imports it by way of torch. Without a CUDA card triton is of no use anyway.
"""

from __future__ import annotations

import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")
DEVICES = Path("/dev")


def keep_triton_out() -> bool:
    """Make `import triton` fail cleanly where it would crash or be of no use.

    Returns whether triton is kept out now. Call it before torchvision, timm or
    segment-anything are imported in a process that has a window.
    """
    if sys.modules.get("triton") is not None:
        return False  # it came first, and that order does no harm
    if sys.platform == "linux" and (not _has_cuda_card() or _mesa_is_loaded()):
        sys.modules["triton"] = None  # type: ignore[assignment]
    return "triton" in sys.modules


def _has_cuda_card() -> bool:
    return any(DEVICES.glob("nvidia[0-9]*")) or (DEVICES / "dxg").exists()


def _mesa_is_loaded() -> bool:
    try:
        return "libLLVM" in MAPS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
