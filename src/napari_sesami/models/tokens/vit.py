"""Vision transformers of timm, recognised from their weights: DINOv2, DINOv3, MAE."""

from __future__ import annotations

import re
from math import isqrt
from typing import TYPE_CHECKING, Any

import torch

from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

PREFIXES = (
    "module.",
    "model.",
    "backbone.",
    "encoder.",
    "teacher.",
    "student.",
    "vit.",
)
HEADS = {1280: 16, 1536: 24}
DINOV3 = {
    (384, False): "vit_small",
    (384, True): "vit_small_plus",
    (768, False): "vit_base",
    (1024, False): "vit_large",
    (1280, True): "vit_huge_plus",
}


def plain_vit_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off prefixes and all that only training needed (decoders, mask tokens)."""
    plain = {}
    for key, value in state.items():
        stripped = key
        while stripped.startswith(PREFIXES):
            stripped = stripped.partition(".")[2]
        plain[stripped] = value
    unused = ("decoder", "mask_token", "head.", "dino_head", "ibot_head", "projectors.")
    return {k: v for k, v in plain.items() if not k.startswith(unused)}


def is_vit(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the weights of a plain vision transformer."""
    plain = plain_vit_state(state)
    patches = plain.get("patch_embed.proj.weight")
    return (
        patches is not None
        and patches.ndim == 4
        and "blocks.0.attn.qkv.weight" in plain
    )


def vit_title(state: Mapping[str, Tensor]) -> str:
    """A short name for people."""
    plain = plain_vit_state(state)
    dim, _, patch, _ = plain["patch_embed.proj.weight"].shape
    kind = "DINOv3 ViT" if _is_dinov3(plain) else "ViT"
    return f"{kind} {dim}×{_depth(plain)}, patch {patch}"


def build_vit(state: Mapping[str, Tensor], heads: int | None = None) -> nn.Module:
    """Build the net that fits the weights, and load them.

    Parameters
    ----------
    state
        Of timm, of Meta's DINO repositories, or of an own autoencoder.
    heads
        Attention heads, where they are not one per 64 numbers.
    """
    plain = plain_vit_state(state)
    if not is_vit(plain):
        raise ModelError(
            f"These {len(plain)} tensors are no plain vision transformer (DINOv2, "
            "DINOv3, MAE or any ViT of timm); choose another file."
        )
    if _is_dinov3(plain):
        return _build_dinov3(plain)
    return _build_plain(plain, heads)


def _depth(plain: Mapping[str, Tensor]) -> int:
    found = (re.match(r"blocks\.(\d+)\.", key) for key in plain)
    return 1 + max(int(m[1]) for m in found if m)


def _is_dinov3(plain: Mapping[str, Tensor]) -> bool:
    registers = "storage_tokens" in plain or "reg_token" in plain
    return registers and "pos_embed" not in plain


def _build_dinov3(plain: dict[str, Tensor]) -> nn.Module:
    import timm
    from timm.models.eva import checkpoint_filter_fn

    dim = plain["patch_embed.proj.weight"].shape[0]
    gated = any(
        key.startswith(("blocks.0.mlp.w1", "blocks.0.mlp.fc1_g")) for key in plain
    )
    name = DINOV3.get((dim, gated))
    if name is None:
        raise ModelError(
            f"A DINOv3 of width {dim} is not known; take the S, S+, B, L or H+ weights."
        )
    last = ""
    for variant in ("", "_qkvb"):
        net = timm.create_model(f"{name}_patch16_dinov3{variant}", num_classes=0)
        fitted = checkpoint_filter_fn(plain, net)
        try:
            net.load_state_dict(fitted)
        except RuntimeError as error:
            last = str(error)
        else:
            return net
    raise ModelError(f"The weights do not fit DINOv3 {name}: {last[:200]}")


def _build_plain(plain: dict[str, Tensor], heads: int | None) -> nn.Module:
    from timm.layers import SwiGLUPacked
    from timm.layers.mlp import Mlp
    from timm.models.vision_transformer import VisionTransformer

    weight = plain["patch_embed.proj.weight"]
    dim, in_chans, patch = weight.shape[:3]
    state, registers, embeds_class = _own_names(plain)
    places = state["pos_embed"].shape[1]
    classes = int("cls_token" in state)
    grid = isqrt(places - classes * embeds_class)
    if grid * grid + classes * embeds_class != places:
        raise ModelError(
            f"The net was trained on a grid of {places} patches that is no square; "
            "save its position embeddings for a square image."
        )
    gated = "blocks.0.mlp.w12.weight" in plain or "blocks.0.mlp.fc1.weight" not in plain
    hidden = state["blocks.0.mlp.fc1.weight"].shape[0]
    net = VisionTransformer(
        img_size=grid * patch,
        patch_size=patch,
        in_chans=in_chans,
        num_classes=0,
        global_pool="",
        embed_dim=dim,
        depth=_depth(plain),
        num_heads=heads or HEADS.get(dim, max(dim // 64, 1)),
        mlp_ratio=hidden / dim,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
        init_values=1e-5 if "blocks.0.ls1.gamma" in state else None,
        class_token=bool(classes),
        no_embed_class=not embeds_class,
        reg_tokens=registers,
        dynamic_img_size=True,
        mlp_layer=SwiGLUPacked if gated else Mlp,
    )
    missing, extra = net.load_state_dict(state, strict=False)
    if missing or extra:
        wrong = (missing or extra)[0]
        raise ModelError(
            f"The weights do not fit a ViT of width {dim} (e.g. {wrong}); they are cut "
            "short or of another net."
        )
    return net


def _own_names(plain: dict[str, Tensor]) -> tuple[dict[str, Tensor], int, bool]:
    """Names as in timm; how many registers; whether the class token has a position."""
    state = {re.sub(r"\.mlp\.w12\.", ".mlp.fc1.", k): v for k, v in plain.items()}
    state = {re.sub(r"\.mlp\.w3\.", ".mlp.fc2.", k): v for k, v in state.items()}
    if "register_tokens" in state:  # Meta's layout: position of the class token first
        state["reg_token"] = state.pop("register_tokens")
        state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
        state["pos_embed"] = state["pos_embed"][:, 1:]
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    if "pos_embed" not in state:
        raise ModelError(
            "The net has no position embeddings; such nets cannot be used."
        )
    places = state["pos_embed"].shape[1]
    embeds_class = "cls_token" in state and isqrt(places) ** 2 != places
    return state, registers, embeds_class


def fold_grey(net: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Let a net take grey pixels in [0, 1]: one input channel instead of three."""
    module: Any = net
    old = module.patch_embed.proj
    with torch.no_grad():
        n = old.in_channels
        scale = torch.tensor(std)[:n, None, None]
        offset = torch.tensor(mean)[:n, None, None]
        weight = old.weight / scale
        new = torch.nn.Conv2d(1, old.out_channels, old.kernel_size, old.stride)
        new.weight.copy_(weight.sum(1, keepdim=True))
        shift = (weight * offset).sum((1, 2, 3))
        bias = torch.zeros_like(shift) if old.bias is None else old.bias
        assert new.bias is not None
        new.bias.copy_(bias - shift)
    module.patch_embed.proj = new
