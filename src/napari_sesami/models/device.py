"""Which device a model runs on, and why, in words for people."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sesami.models.types import ModelError


@dataclass(frozen=True)
class DeviceChoice:
    """A device (`"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`) and the reason for it."""

    name: str
    reason: str

    @property
    def is_gpu(self) -> bool:
        """Whether half precision and fused attention pay there."""
        return self.name.startswith("cuda")


def choose_device(wish: str = "auto") -> DeviceChoice:
    """Take the wish if the machine can fulfil it; `"auto"` takes a GPU if it works."""
    import torch

    if wish == "auto":
        usable, reason = _try_cuda()
        return DeviceChoice("cuda" if usable else "cpu", reason)
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise ModelError(
            f"“{wish}” is no device; use auto, cpu, cuda, cuda:1 or mps."
        ) from error
    if device.type == "cuda":
        usable, reason = _try_cuda(device.index or 0)
        if not usable:
            raise ModelError(f"The device “{wish}” cannot be used: {reason} Use cpu.")
        return DeviceChoice(wish, reason)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("The device “mps” needs a Mac with an Apple GPU; use cpu.")
    return DeviceChoice(wish, "It was asked for.")


@dataclass(frozen=True)
class PrecisionChoice:
    """Whether to compute in bfloat16 (`half`), and the reason in one sentence."""

    half: bool
    reason: str


def choose_precision(device: str) -> PrecisionChoice:
    """Take bfloat16 where it is faster: GPUs from Ampere on, AMX, AVX-512 BF16.

    With AVX-512 BF16 alone sesami-nano encodes 1.5 to 1.7 times as fast as in float32.
    """
    import torch

    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return PrecisionChoice(True, "bfloat16: the GPU computes it faster.")
        return PrecisionChoice(False, "float32: the GPU knows no bfloat16.")
    if device != "cpu":
        return PrecisionChoice(False, f"float32: nothing else is known of {device}.")
    if torch.cpu._is_amx_tile_supported():
        return PrecisionChoice(True, "bfloat16: the processor has AMX for it.")
    if torch.cpu._is_avx512_bf16_supported():
        return PrecisionChoice(True, "bfloat16: the processor has AVX-512 BF16 for it.")
    return PrecisionChoice(
        False, "float32: the processor has neither AMX nor AVX-512 BF16."
    )


def _try_cuda(index: int = 0) -> tuple[bool, str]:
    """Run one small sum on the GPU: a driver that is present may still not work."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return False, "The installed torch is built for the CPU only."
    if not torch.cuda.is_available():
        return False, "torch supports CUDA, but finds no usable GPU or driver."
    if index >= torch.cuda.device_count():
        return False, f"There are only {torch.cuda.device_count()} GPUs."
    try:
        torch.ones(2, device=f"cuda:{index}").sum().item()
    except RuntimeError as error:
        return False, f"The GPU does not answer ({str(error).splitlines()[0]})."
    return True, f"{torch.cuda.get_device_name(index)} works."
