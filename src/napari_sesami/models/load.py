"""Load a model by its name in the catalog, or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.models import catalog
from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_sesami.models.types import PromptModel, TokenEncoder

DEFAULT = "sesami-nano"


def load_prompt_model(
    name_or_path: str | Path = DEFAULT,
    device: str = "auto",
    *,
    image_size: int | None = None,
    adapter: str | Path | None = None,
    **options: Any,
) -> PromptModel:
    """Load what turns prompts into masks.

    Parameters
    ----------
    name_or_path
        A name of the catalog, or a file of SAM, MedSAM, micro-sam or sesami-nano.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    image_size
        Another view size for a SAM than that of its training (e.g. 512: faster).
    adapter
        A file of LoRA weights that were trained on this very model.
    **options
        Of `SamModel` (`unit_pixels`, `half`).
    """
    model = _load_base(name_or_path, device, image_size, options)
    if adapter is not None:
        from napari_sesami.models.adapters import use_adapter

        use_adapter(model, adapter)
    return model


def _load_base(
    name_or_path: str | Path,
    device: str,
    image_size: int | None,
    options: dict[str, Any],
) -> PromptModel:
    name, state, facts, told = _open(name_or_path)
    if "nano" in facts and facts.get("gives") != "tokens":
        from napari_sesami.models.nano.model import Nano

        return Nano.from_state(state, facts, name=name, device=device, **options)
    if not any("image_encoder." in key for key in state):
        raise ModelError(
            f"“{name}” gives tokens, no masks; choose sesami-nano or a SAM for prompts."
        )
    from napari_sesami.models.sam.model import SamModel

    return SamModel.from_state(
        state, name, image_size, device=device, **{**told, **options}
    )


def load_token_encoder(
    name_or_path: str | Path = DEFAULT,
    device: str = "auto",
    *,
    layers: int | Sequence[int] | None = None,
    debias: bool | None = None,
    **options: Any,
) -> TokenEncoder:
    """Load what gives dense tokens of a tile.

    Parameters
    ----------
    name_or_path
        A name of the catalog, or a file of sesami-nano, a SAM, DINOv2, DINOv3, an MAE
        or any plain ViT.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    layers
        After which block (or blocks) of a transformer; None takes the last output.
    debias
        Take out what tokens say about their place; None does it for transformers with
        positions, not for the bundled model, which knows none.
    **options
        Of `VitTokens` (`mean`, `std`, `heads`, `half`) or `SamModel`.
    """
    from napari_sesami.models.imagenet import (
        LITE0,
        imagenet_state,
        is_lite0,
        timm_state,
    )

    if str(name_or_path) == LITE0:
        imagenet_state()  # the package that brings it is enough
    name, state, facts, told = _open(name_or_path)
    encoder: TokenEncoder
    if is_lite0(state):
        from napari_sesami.models.device import choose_device
        from napari_sesami.models.imagenet import FeatureEncoder
        from napari_sesami.models.tokens.features import FeatureTokens

        tuned = facts.get("gives") == "tokens"  # for grey, and without ImageNet's head
        net = FeatureEncoder(1, state if tuned else timm_state(state), name)
        return FeatureTokens(net.to(choose_device(device).name).eval())
    if "nano" in facts:
        from napari_sesami.models.nano.model import Nano

        nano = Nano.from_state(state, facts, name=name, device=device, **options)
        encoder = nano.token_encoder()
    else:
        encoder = _transformer(name, state, facts, device, layers, {**told, **options})
    if ("nano" not in facts) if debias is None else debias:
        from napari_sesami.models.tokens.encoders import Debiased

        return Debiased(encoder)
    return encoder


def _transformer(
    name: str,
    state: dict[str, Tensor],
    facts: dict[str, str],
    device: str,
    layers: int | Sequence[int] | None,
    options: dict[str, Any],
) -> TokenEncoder:
    from napari_sesami.models.tokens.encoders import SamTokens, VitTokens

    chosen = (layers,) if isinstance(layers, int) else tuple(layers or ())
    if any("image_encoder." in key for key in state):
        from napari_sesami.models.sam.model import SamModel

        if len(chosen) > 1:
            raise ModelError("A SAM gives tokens of one layer at a time; choose one.")
        model = SamModel.from_state(state, name, device=device, **options)
        return SamTokens(model, chosen[0] if chosen else None)
    for fact in ("heads", "mean", "std"):
        if fact in facts:
            number = int(facts[fact]) if fact == "heads" else (float(facts[fact]),)
            options.setdefault(fact, number)
    return VitTokens.from_state(
        state, name=name, device=device, layers=chosen or (-1,), **options
    )


def _open(
    name_or_path: str | Path,
) -> tuple[str, dict[str, Tensor], dict[str, str], dict[str, Any]]:
    """Name, weights, metadata, and options from the card."""
    from napari_sesami.models.weights import read_weights

    path = Path(name_or_path)
    if path.suffix in (".safetensors", ".pth", ".pt") or path.is_file():
        state, facts = read_weights(path)
        if "adapter" in facts:
            raise ModelError(
                f"{path.name} is an adapter, no model; load the model it was trained "
                "on and choose it there as the adapter."
            )
        told = {"unit_pixels": True} if "medsam" in path.stem.lower() else {}
        return path.stem, state, facts, told
    entry = catalog.find(str(name_or_path))
    state, facts = read_weights(entry.path)
    return entry.name, state, facts, dict(entry.options)
