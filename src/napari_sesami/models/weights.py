"""Weights on disk: foreign files read without running code, own ones safetensors."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.cancel import Cancelled
from napari_sesami.common.disk import replacing
from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models.lora import Lora


BLOCK = 1 << 20
NESTS = ("model", "state_dict", "model_state", "model_state_dict", "teacher", "encoder")
"""Where training programs put the weights beside optimiser and counters."""


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors of a file, and the metadata of a safetensors file.

    Pickled code is never run; a file that needs it is refused.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no file {path}; choose a file of weights.")
    if path.stat().st_size == 0:
        raise ModelError(f"{path.name} is empty; get the file again.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_pickle(path), {}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise ModelError(
            f"{path.name} is cut short or no safetensors file ({error}); get it again."
        ) from error


def read_facts(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file alone; other files have none."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name} cannot be read ({error}).") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on old pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path) or "GLOBAL" in str(error):
            raise ModelError(
                f"{path.name} holds more than weights: opening it would run its own "
                "code, which is never done. Save its state dict alone and take that."
            ) from error
        raise ModelError(_broken(path)) from error
    except PermissionError as error:
        raise ModelError(f"{path} may not be read; change its permissions.") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(_broken(path)) from error
    tensors = _only_tensors(content)
    if not tensors:
        raise ModelError(
            f"{path.name} can be read but holds no weights by name; "
            "choose a checkpoint, i.e. a state dict."
        )
    return tensors


def _broken(path: Path) -> str:
    return (
        f"{path.name} is cut short or no file of weights; "
        "choose a .safetensors, .pth or .pt file, or get it again."
    )


def _only_tensors(content: Any) -> dict[str, Tensor]:
    """Find the state dict in a checkpoint that may also hold an optimiser."""
    import torch

    if not isinstance(content, dict):
        return {}
    for nest in NESTS:
        inner = content.get(nest)
        if isinstance(inner, dict) and _only_tensors(inner):
            return _only_tensors(inner)
    named = content.items()
    return {k: v for k, v in named if isinstance(k, str) and torch.is_tensor(v)}


def write_weights(
    path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write safetensors under another name first, so that no half file is ever seen."""
    from safetensors.torch import save_file

    # tensors that share memory are written one by one
    whole = {key: value.detach().clone().contiguous() for key, value in state.items()}
    with replacing(path) as part:
        save_file(whole, part, metadata=dict(metadata))


def name_of_weights(facts: str, net: nn.Module, lora: Lora | None) -> str:
    """Name a net by its content and by what else decides its answers, for caches."""
    import torch

    digest = hashlib.blake2b(facts.encode(), digest_size=12)
    if lora is not None:
        digest.update(f"scale {lora.alpha / lora.rank}".encode())
    for key, value in net.state_dict().items():
        digest.update(key.encode())
        plain = value.detach().cpu().contiguous()
        digest.update(plain.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def sha256(
    path: Path, progress: Progress | None = None, stop: IsCancelled | None = None
) -> str:
    """Checksum of a file, read in blocks."""
    digest = hashlib.sha256()
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if stop is not None and stop():
                raise Cancelled("Stopped as asked.")
            digest.update(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    return digest.hexdigest()
