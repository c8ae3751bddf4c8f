"""What a checkpoint holds: the trained weights, the optimiser, the recipe's own."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load, save

from napari_sesami.common.checked import checked

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_sesami.train.engine.checkpoints import Parts
    from napari_sesami.train.recipe import Recipe

_SAMPLES = 64


def pack(
    module: nn.Module, optimiser: Any, recipe: Recipe, facts: dict[str, Any]
) -> Parts:
    """Turn everything that a resumed run needs into bytes."""
    weights = {k: v.detach().cpu().contiguous() for k, v in _learnt(module).items()}
    more = io.BytesIO()
    state = {"optimiser": optimiser.state_dict(), "recipe": recipe.state()}
    if scaler := getattr(optimiser, "scaler", None):
        state["scaler"] = scaler.state_dict()
    torch.save(state, more)
    return {
        "weights.safetensors": save(weights),
        "optimiser.pt": more.getvalue(),
        "facts.json": json.dumps(facts).encode(),
    }


def restore(
    parts: Parts, module: nn.Module, optimiser: Any, recipe: Recipe
) -> dict[str, Any]:
    """Take over what `pack` gave; return its facts."""
    weights = load(parts["weights.safetensors"])
    with torch.no_grad():
        for name, tensor in _learnt(module).items():
            tensor.copy_(weights[name])
    state = torch.load(
        io.BytesIO(parts["optimiser.pt"]), map_location="cpu", weights_only=True
    )
    optimiser.load_state_dict(state["optimiser"])
    if scaler := getattr(optimiser, "scaler", None):
        scaler.load_state_dict(state["scaler"])
    recipe.load_state(state["recipe"])
    facts: dict[str, Any] = checked(dict[str, Any], parts["facts.json"], "facts.json")
    return facts


def fingerprint(module: nn.Module) -> str:
    """Tell whether the weights that are not trained are those a run began with."""
    mark = hashlib.sha256()
    for name, p in module.named_parameters():
        if not p.requires_grad:
            flat = p.detach().flatten()
            some = flat[:: max(1, flat.numel() // _SAMPLES)].float().cpu()
            mark.update(f"{name}{tuple(p.shape)}".encode())
            mark.update(some.numpy().tobytes())
    return mark.hexdigest()


def _learnt(module: nn.Module) -> dict[str, Tensor]:
    """Trained weights and lasting buffers by name."""
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    doubles = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    doubles -= {name for name, _ in module.named_parameters()}
    state = module.state_dict(keep_vars=True)
    return {k: v for k, v in state.items() if k not in frozen | doubles}
