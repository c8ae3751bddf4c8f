"""LoRA on query and value of the encoder's attention, for every prompt model.

peft puts the low-rank pair beside the fused `qkv` of a block. Its rows for the key are
zero and stay so: no gradient reaches them. The weights of the base are never touched,
so taking an adapter off gives the base back, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from napari_sesami.models.types import PromptModel

SHARE = 0.014  # of all parameters that LoRA trains unless a rank is asked for
STEP = 4  # ranks are multiples of it
BY_SIZE = ("pos_embed", "rel_pos")  # what another view size of the same base changes


@dataclass(frozen=True)
class Lora:
    """What is attached to a model now.

    Attributes
    ----------
    base
        Hash of the base it sits on.
    rank, alpha
        Width of the pair; its product is scaled by alpha / rank.
    blocks
        Numbers of the encoder blocks that have one.
    decoder
        The base's own mask decoder where the adapter brings another; else empty.
    """

    base: str
    rank: int
    alpha: float
    blocks: tuple[int, ...]
    decoder: dict[str, Tensor]


def net_of(model: PromptModel) -> nn.Module:
    """The module behind a prompt model: `image_encoder`, `prompt_encoder`, decoder."""
    for name in ("net", "sam"):
        net = getattr(model, name, None)
        if isinstance(net, nn.Module) and hasattr(net, "image_encoder"):
            return net
    raise ModelError(
        f"“{model.name}” has no encoder that LoRA could be put on; choose sesami-nano "
        "or a SAM."
    )


def base_hash(model: PromptModel) -> str:
    """Name the base weights, whatever adapter, device or view size is in use."""
    lora: Lora | None = getattr(model, "lora", None)
    if lora is not None:
        return lora.base
    digest = blake2b(digest_size=12)
    for key, value in net_of(model).state_dict().items():
        if not any(part in key for part in BY_SIZE):
            digest.update(key.encode())
            plain = value.detach().float().cpu().contiguous()
            digest.update(plain.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fitting_rank(model: PromptModel, blocks: Sequence[int]) -> int:
    """The rank at which LoRA on these blocks trains about 1.4 % of the parameters."""
    net = net_of(model)
    dim = int(_attentions(net)[0].qkv.in_features)
    total = sum(p.numel() for p in net.parameters())
    # a row of A, and two thirds of a column of B, for each unit of rank
    wish = SHARE * total / (3 * dim * max(1, len(blocks)))
    return max(STEP, min(round(wish / STEP) * STEP, dim))


def count_blocks(model: PromptModel) -> int:
    """How many attention blocks the encoder has."""
    return len(_attentions(net_of(model)))


def last_blocks(model: PromptModel, count: int) -> tuple[int, ...]:
    """Numbers of the last blocks; 0 takes all of them."""
    total = count_blocks(model)
    if not 0 <= count <= total:
        raise ModelError(
            f"{model.name} has {total} encoder blocks; {count} cannot be trained."
        )
    return tuple(range(total - (count or total), total))


def add_lora(
    model: PromptModel,
    rank: int = 0,
    blocks: Sequence[int] | None = None,
    alpha: float = 0.0,
    *,
    seed: int = 0,
) -> Lora:
    """Attach fresh, trainable pairs; the answers are the same until they are trained.

    Everything else is frozen.

    Parameters
    ----------
    model
        sesami-nano or any SAM; an adapter that it carries is taken off first.
    rank
        0 takes what trains about 1.4 % of the parameters.
    blocks
        Numbers of encoder blocks; None takes every one.
    alpha
        0 takes the rank, so that the pair's product enters as it is.
    seed
        Of the Gaussian that A begins with; B begins with zeros.
    """
    remove_lora(model)
    net = net_of(model)
    chosen = tuple(range(count_blocks(model)) if blocks is None else sorted(blocks))
    net.requires_grad_(False)
    base = base_hash(model)
    rank = rank or fitting_rank(model, chosen)
    lora = Lora(base, rank, alpha or float(rank), chosen, {})
    if chosen:
        _inject(net, lora, seed)
    _note(model, lora)
    return lora


def _inject(net: nn.Module, lora: Lora, seed: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    numbers = "|".join(str(n) for n in lora.blocks)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=rf"image_encoder\.blocks\.({numbers})\.attn\.qkv",
        init_lora_weights="gaussian",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, net)
    del net.peft_config  # so that another adapter can take its place
    for _, pair in pairs(net):
        b = pair.lora_B["default"].weight
        b.register_hook(_without_key(b.shape[0] // 3))


def _without_key(dim: int) -> Any:
    """A hook that lets no gradient reach the rows of the key."""

    def hook(gradient: Tensor) -> Tensor:
        kept = gradient.clone()
        kept[dim : 2 * dim] = 0
        return kept

    return hook


def remove_lora(model: PromptModel) -> None:
    """Take the adapter off; the base answers again as if there had been none."""
    lora: Lora | None = getattr(model, "lora", None)
    if lora is None:
        return
    net = net_of(model)
    for attention in _attentions(net):
        attention.qkv = getattr(attention.qkv, "base_layer", attention.qkv)
    if lora.decoder:
        net.get_submodule("mask_decoder").load_state_dict(lora.decoder)
    net.requires_grad_(False)
    _note(model, None)


def free_decoder(model: PromptModel) -> None:
    """Let the mask decoder be trained too; what it was is kept for taking it back."""
    lora: Lora | None = getattr(model, "lora", None)
    if lora is None:
        raise ModelError("Attach LoRA first; the decoder's old weights go with it.")
    decoder = net_of(model).get_submodule("mask_decoder")
    if not lora.decoder:
        kept = {k: v.detach().clone() for k, v in decoder.state_dict().items()}
        lora.decoder.update(kept)
    decoder.requires_grad_(True)


def pairs(net: nn.Module) -> Iterator[tuple[int, Any]]:
    """The low-rank pairs by number of the block."""
    for number, attention in enumerate(_attentions(net)):
        if hasattr(attention.qkv, "lora_A"):
            yield number, attention.qkv


def trained_share(model: PromptModel) -> tuple[int, float]:
    """How many numbers training changes, and their share of the base's parameters."""
    net = net_of(model)
    trained = total = 0
    for name, parameter in net.named_parameters():
        number = parameter.numel()
        total += 0 if ".lora_" in name else number
        if parameter.requires_grad:
            # the rows of the key are there but never change
            trained += number * 2 // 3 if ".lora_B." in name else number
    return trained, trained / total


def _attentions(net: nn.Module) -> list[Any]:
    blocks = net.get_submodule("image_encoder.blocks")
    return [block.get_submodule("attn") for block in blocks.children()]


def _note(model: Any, lora: Lora | None) -> None:
    """Remember what is attached, and give the model its new key."""
    model.lora, model.adapter = lora, None
    model.rekey()
