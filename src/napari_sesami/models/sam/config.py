"""The architecture of a SAM checkpoint, read from the shapes of its weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segment_anything.modeling import Sam
    from torch import Tensor

OFFICIAL: dict[int, tuple[int, tuple[int, ...]]] = {
    768: (12, (2, 5, 8, 11)),
    1024: (16, (5, 11, 17, 23)),
    1280: (16, (7, 15, 23, 31)),
}
PREFIXES = ("module.", "model.", "sam.", "state_dict.")
ROOMS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")


@dataclass(frozen=True)
class SamConfig:
    """All that must be known to build the net before its weights are loaded."""

    image_size: int = 1024
    patch: int = 16
    in_chans: int = 3
    dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    out_chans: int = 256
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    absolute: bool = True
    relative: bool = True
    mask_chans: int = 16
    decoder_depth: int = 2
    decoder_mlp: int = 2048
    masks: int = 3
    iou_depth: int = 3
    iou_hidden: int = 256

    @property
    def title(self) -> str:
        """A short name for people."""
        known = {768: "ViT-B", 1024: "ViT-L", 1280: "ViT-H"}.get(self.dim)
        net = known or f"ViT {self.dim}×{self.depth}"
        return f"SAM {net}, patch {self.patch}, {self.image_size} px"

    def resized(self, image_size: int) -> SamConfig:
        """Take views of another size."""
        if image_size < 2 * self.patch or image_size % self.patch:
            raise ModelError(
                f"An image size of {image_size} does not suit patches of {self.patch}; "
                f"give a multiple of {self.patch}, at least {2 * self.patch}."
            )
        return replace(self, image_size=image_size)

    @classmethod
    def recognise(cls, state: Mapping[str, Tensor]) -> SamConfig:
        """Read the architecture from a checkpoint, whatever its prefixes."""
        state = plain_state(state)
        shape = {key: tuple(value.shape) for key, value in state.items()}
        encoder, decoder = "image_encoder.", "mask_decoder."
        try:
            dim, in_chans, patch, _ = shape[encoder + "patch_embed.proj.weight"]
            depth = 1 + max(_numbers(shape, r"image_encoder\.blocks\.(\d+)\."))
            heads, window, everywhere, grid = _attention(shape, dim, depth)
            return cls(
                image_size=grid * patch,
                patch=patch,
                in_chans=in_chans,
                dim=dim,
                depth=depth,
                heads=heads,
                mlp_ratio=shape[encoder + "blocks.0.mlp.lin1.weight"][0] / dim,
                out_chans=shape[encoder + "neck.0.weight"][0],
                window=window,
                global_blocks=everywhere,
                absolute=encoder + "pos_embed" in shape,
                relative=encoder + "blocks.0.attn.rel_pos_h" in shape,
                mask_chans=shape["prompt_encoder.mask_downscaling.3.weight"][0],
                decoder_depth=1
                + max(_numbers(shape, r"mask_decoder\.transformer\.layers\.(\d+)\.")),
                decoder_mlp=shape[decoder + "transformer.layers.0.mlp.lin1.weight"][0],
                masks=shape[decoder + "mask_tokens.weight"][0] - 1,
                iou_depth=1
                + max(
                    _numbers(
                        shape, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\."
                    )
                ),
                iou_hidden=shape[decoder + "iou_prediction_head.layers.0.weight"][0],
            )
        except (KeyError, ValueError) as error:
            raise ModelError(_why_not_sam(shape)) from error


def _attention(
    shape: Mapping[str, tuple[int, ...]], dim: int, depth: int
) -> tuple[int, int, tuple[int, ...], int]:
    """Heads, window, blocks without windows, and the grid of patches."""
    position = shape.get("image_encoder.pos_embed")
    relative = [
        shape.get(f"image_encoder.blocks.{i}.attn.rel_pos_h") for i in range(depth)
    ]
    if relative[0] is None:
        heads, everywhere = OFFICIAL.get(dim, (max(dim // 64, 1), ()))
        if position is None or (everywhere and everywhere[-1] != depth - 1):
            raise ValueError("neither absolute nor relative positions")
        return heads, 14 if everywhere else 0, everywhere, position[1]
    reach = [(r[0] + 1) // 2 for r in relative if r is not None]
    grid = position[1] if position is not None else max(reach)
    # a window as large as the grid is the same as none
    everywhere = tuple(i for i, n in enumerate(reach) if n == grid)
    windows = {n for n in reach if n != grid}
    if len(windows) > 1:
        raise ValueError("windows of several sizes")
    return dim // relative[0][1], windows.pop() if windows else 0, everywhere, grid


def _numbers(shape: Mapping[str, tuple[int, ...]], pattern: str) -> list[int]:
    found = (re.match(pattern, key) for key in shape)
    return [int(match[1]) for match in found if match]


def _why_not_sam(shape: Mapping[str, tuple[int, ...]]) -> str:
    if any(key.startswith("image_encoder.layers.") for key in shape):
        return (
            "These are MobileSAM weights (TinyViT encoder); only the ViT encoders of "
            "SAM can be used: take a ViT-B checkpoint."
        )
    if any("memory_attention" in key or "trunk." in key for key in shape):
        return (
            "These are SAM 2 weights; take a checkpoint of the first SAM (ViT-B, L, H)."
        )
    return (
        f"These {len(shape)} tensors are no SAM checkpoint: image encoder, prompt "
        "encoder and mask decoder are needed. Choose SAM, MedSAM or micro-sam weights."
    )


def plain_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off prefixes (`model.`, `module.`, `sam.`) and heads unknown to SAM."""
    plain = {}
    for key, value in state.items():
        stripped = key
        while stripped.startswith(PREFIXES) and not stripped.startswith(ROOMS):
            stripped = stripped.partition(".")[2]
        if stripped.startswith(ROOMS):
            plain[stripped] = value
    return plain


def build_sam(config: SamConfig) -> Sam:
    """Build the net of `segment_anything`, not yet loaded."""
    from napari_sesami.models.sam_parts import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    grid = config.image_size // config.patch
    encoder = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch,
        in_chans=config.in_chans,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.heads,
        mlp_ratio=config.mlp_ratio,
        out_chans=config.out_chans,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_abs_pos=config.absolute,
        use_rel_pos=config.relative,
        window_size=config.window,
        global_attn_indexes=config.global_blocks,
    )
    prompts = PromptEncoder(
        embed_dim=config.out_chans,
        image_embedding_size=(grid, grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.mask_chans,
    )
    transformer = TwoWayTransformer(
        depth=config.decoder_depth,
        embedding_dim=config.out_chans,
        mlp_dim=config.decoder_mlp,
        num_heads=8,
    )
    decoder = MaskDecoder(
        transformer_dim=config.out_chans,
        transformer=transformer,
        num_multimask_outputs=config.masks,
        iou_head_depth=config.iou_depth,
        iou_head_hidden_dim=config.iou_hidden,
    )
    return Sam(encoder, prompts, decoder)


def fit_state(state: Mapping[str, Tensor], sam: Sam) -> dict[str, Tensor]:
    """Bring a checkpoint to the view size of `sam`: interpolate its positions."""
    fitted = {}
    wanted = sam.state_dict()
    for key, value in plain_state(state).items():
        goal = wanted[key].shape if key in wanted else value.shape
        fitted[key] = value if value.shape == goal else _stretch(key, value, goal)
    missing = sorted(set(wanted) - set(fitted))
    if missing:
        raise ModelError(
            f"The checkpoint lacks {len(missing)} tensors of SAM, e.g. {missing[0]}; "
            "it is cut short or of another net. Get the file again."
        )
    return {key: fitted[key] for key in wanted}


def _stretch(key: str, value: Tensor, goal: torch.Size) -> Tensor:
    if key.endswith("pos_embed") and value.ndim == 4 and value.shape[-1] == goal[-1]:
        size = (goal[1], goal[2])
        wide = F.interpolate(
            value.float().permute(0, 3, 1, 2), size, mode="bicubic", align_corners=False
        )
        return wide.permute(0, 2, 3, 1)
    if ".rel_pos_" in key and value.shape[-1] == goal[-1]:
        return F.interpolate(value.float().T[None], goal[0], mode="linear")[0].T
    raise ModelError(
        f"The tensor {key} has shape {tuple(value.shape)}, {tuple(goal)} is needed; "
        "the checkpoint is of another net."
    )
