"""Adapters on disk: a few MB of LoRA weights that fit one base and no other."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_sesami.common.checked import DamagedFile, checked
from napari_sesami.models.lora import (
    Lora,
    add_lora,
    base_hash,
    free_decoder,
    net_of,
    pairs,
    remove_lora,
    trained_share,
)
from napari_sesami.models.types import ModelError
from napari_sesami.models.weights import read_weights, write_weights

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sesami.models.types import PromptModel

FACT = "adapter"
VERSION = 1
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class AdapterCard:
    """What is known of an adapter; it travels in the file.

    Attributes
    ----------
    base, base_hash
        Name and hash of the model that it fits.
    rank, alpha, blocks, decoder
        Where and how wide the pairs are; whether a trained mask decoder comes along.
    classes
        Names of the classes it was trained on.
    normalisations
        Of the scans it was trained on, by name: the grey values of black and white.
    pixel_sizes, unit
        The smallest and largest pixel it saw (empty: unknown).
    parameters, share
        How many numbers were trained, and their share of the base.
    metrics
        Held-out objects before and after.
    title, created, recipe
        For people.
    """

    base: str = ""
    base_hash: str = ""
    rank: int = 0
    alpha: float = 0.0
    blocks: tuple[int, ...] = ()
    decoder: bool = False
    classes: tuple[str, ...] = ()
    normalisations: dict[str, dict[str, float]] = field(default_factory=dict)
    pixel_sizes: tuple[float, ...] = ()
    unit: str = ""
    parameters: int = 0
    share: float = 0.0
    metrics: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    created: str = ""
    recipe: str = "sesami"
    version: int = VERSION

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> AdapterCard:
        """Read what the file says; what a newer version adds is passed over."""
        known = {f.name for f in fields(cls)}
        told = {k: v for k, v in stored.items() if k in known}
        for key in ("blocks", "classes", "pixel_sizes"):
            told[key] = tuple(told.get(key, ()))
        return cls(**told)


def describe(model: PromptModel, **facts: Any) -> AdapterCard:
    """Write the card of what is attached to a model now."""
    lora = _attached(model)
    parameters, share = trained_share(model)
    return AdapterCard(
        base=model.name,
        base_hash=lora.base,
        rank=lora.rank,
        alpha=lora.alpha,
        blocks=lora.blocks,
        decoder=bool(lora.decoder),
        parameters=parameters,
        share=share,
        **facts,
    )


def save_adapter(path: str | Path, model: PromptModel, card: AdapterCard) -> Path:
    """Write what is attached to the model, and nothing of its base."""
    lora, net, target = _attached(model), net_of(model), Path(path)
    state: dict[str, Tensor] = {}
    for number, pair in pairs(net):
        for name in ("lora_A", "lora_B"):
            weight = getattr(pair, name)["default"].weight
            state[f"blocks.{number}.{name}"] = weight.detach().cpu()
    if lora.decoder:
        decoder = net.get_submodule("mask_decoder").state_dict()
        state |= {f"decoder.{k}": v.detach().cpu() for k, v in decoder.items()}
    if not state:
        raise ModelError("Nothing is attached to the model; train something first.")
    facts = json.dumps(asdict(card), ensure_ascii=False, sort_keys=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_weights(target, state, {FACT: facts})
    return target


def read_card(path: str | Path) -> AdapterCard:
    """Read the card of an adapter file without its weights."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no adapter {path}; choose another, or none.")
    try:
        with safe_open(path, framework="pt") as file:
            facts = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path.name} is cut short or no adapter ({error}); get the file again."
        ) from error
    return _card(path, facts)


def _card(path: Path, facts: dict[str, str]) -> AdapterCard:
    if FACT not in facts:
        raise ModelError(
            f"{path.name} holds weights but no adapter; load it as a model instead."
        )
    try:
        told = checked(dict[str, Any], facts[FACT], path.name)
        newer = isinstance(told.get("version"), int) and told["version"] > VERSION
        card = None if newer else checked(AdapterCard, facts[FACT], path.name)
    except DamagedFile as error:
        raise ModelError(
            f"The description in {path.name} is damaged; get the file again ({error})."
        ) from error
    if card is None:
        raise ModelError(
            f"{path.name} was written by a newer napari-sesami; update to use it."
        )
    return AdapterCard.from_dict(vars(card))


def fits(card: AdapterCard, model: PromptModel) -> bool:
    """Whether an adapter was trained on this very base."""
    return card.base_hash == base_hash(model)


def use_adapter(model: PromptModel, path: str | Path | None) -> AdapterCard | None:
    """Put an adapter on a model in place of the one it carries; None takes it off.

    The base is never merged with it, so switching back and forth loses nothing.

    Raises
    ------
    ModelError
        The file is no adapter, or was trained on another base. The model is then as it
        was before.
    """
    if path is None:
        remove_lora(model)
        return None
    path = Path(path)
    card = read_card(path)
    if not fits(card, model):
        other = "another version of it" if card.base == model.name else model.name
        raise ModelError(
            f"The adapter {path.stem} was trained on {card.base} and does not fit "
            f"{other}; load the model it was trained on, or train again on this one."
        )
    state, _ = read_weights(path)
    add_lora(model, card.rank, card.blocks, card.alpha)
    try:
        _fill(model, card, state)
    except (KeyError, RuntimeError) as error:
        remove_lora(model)
        raise ModelError(
            f"The weights in {path.name} do not match its description; get the file "
            "again."
        ) from error
    net_of(model).requires_grad_(False)
    model.adapter = card  # type: ignore[attr-defined]
    return card


def _fill(model: PromptModel, card: AdapterCard, state: dict[str, Tensor]) -> None:
    net = net_of(model)
    with torch.no_grad():
        for number, pair in pairs(net):
            for name in ("lora_A", "lora_B"):
                weight = getattr(pair, name)["default"].weight
                weight.copy_(state[f"blocks.{number}.{name}"])
            b = pair.lora_B["default"].weight
            b[b.shape[0] // 3 : 2 * (b.shape[0] // 3)] = 0
    if card.decoder:
        free_decoder(model)
        own = {k[8:]: v for k, v in state.items() if k.startswith("decoder.")}
        net.get_submodule("mask_decoder").load_state_dict(own)
    model.rekey()  # type: ignore[attr-defined]


def _attached(model: PromptModel) -> Lora:
    lora: Lora | None = getattr(model, "lora", None)
    if lora is None:
        raise ModelError("Nothing is attached to the model; add LoRA to it first.")
    return lora
