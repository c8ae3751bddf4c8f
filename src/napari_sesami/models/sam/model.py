"""SAM and every checkpoint that is compatible with it, as a prompt model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sesami.models.device import choose_device
from napari_sesami.models.sam.config import SamConfig, build_sam, fit_state
from napari_sesami.models.sam.encoder import FastEncoder
from napari_sesami.models.types import Embedding
from napari_sesami.models.weights import name_of_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from segment_anything.modeling import Sam

    from napari_sesami.models.adapters import AdapterCard
    from napari_sesami.models.lora import Lora

NATURAL_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
NATURAL_STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)
PROMPTS_AT_ONCE = 16


class SamModel:
    """A `PromptModel` on `segment_anything.modeling.Sam`.

    Parameters
    ----------
    sam
        The net; `sam.image_encoder` may carry adapters. Call `rekey` after changing
        weights, so that caches notice.
    name
        For people and for the catalog.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    unit_pixels
        The encoder was trained on pixels in [0, 1] (MedSAM), not on those of photos.
    half
        Encode in bfloat16; None does it on a GPU only.
    """

    magnify = True
    """Trained on images enlarged to the tile: small ones are enlarged here too."""
    lora: Lora | None = None
    adapter: AdapterCard | None = None

    def __init__(
        self,
        sam: Sam,
        name: str = "sam",
        device: str = "auto",
        unit_pixels: bool = False,
        half: bool | None = None,
    ) -> None:
        choice = choose_device(device)
        self.sam = sam.to(choice.name).eval()
        self.name = name
        self.device = torch.device(choice.name)
        self.tile = int(sam.image_encoder.img_size)
        mean, std = (
            ((0.0,) * 3, (1.0,) * 3) if unit_pixels else (NATURAL_MEAN, NATURAL_STD)
        )
        self._half = half
        use_half = choice.is_gpu if half is None else half
        self.encoder = FastEncoder(sam.image_encoder, mean, std, use_half)
        self.rekey()

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Tensor],
        name: str = "sam",
        image_size: int | None = None,
        **options: Any,
    ) -> SamModel:
        """Recognise the architecture from the weights and load them.

        Parameters
        ----------
        state
            As in the official checkpoints; prefixes and extra heads are put aside.
        name
            For people.
        image_size
            Another view size than that of training; positions are interpolated.
        **options
            Of `SamModel`.
        """
        config = SamConfig.recognise(state)
        if image_size is not None:
            config = config.resized(image_size)
        sam = build_sam(config)
        sam.load_state_dict(fit_state(state, sam))
        return cls(sam, name, **options)

    @classmethod
    def from_file(
        cls, path: str | Path, name: str | None = None, **options: Any
    ) -> SamModel:
        """Load a `.pth`, `.pt` or `.safetensors` file without running code in it."""
        from pathlib import Path

        from napari_sesami.models.weights import read_weights

        path = Path(path)
        state, _ = read_weights(path)
        options.setdefault("unit_pixels", "medsam" in path.stem.lower())
        return cls.from_state(state, name or path.stem, **options)

    def rekey(self) -> None:
        """Name the weights by their content; caches are keyed by it.

        `weights_key` leaves the precision out: a bank fits whatever device.
        """
        half = self.encoder.half
        self.key = self._digest(half)
        self.weights_key = self._digest(False) if half else self.key
        grid = self.sam.prompt_encoder.get_dense_pe()
        self._grid_positions = grid.detach()

    def _digest(self, half: bool) -> str:
        facts = f"sam {self.tile} {half} {self.encoder.mean}"
        return name_of_weights(facts, self.sam, self.lora)

    def to(self, device: str) -> SamModel:
        """Move to another device, e.g. to the CPU when the GPU is out of memory."""
        self.device = torch.device(device)
        self.sam.to(self.device)
        self._grid_positions = self._grid_positions.to(self.device)
        wish = self.device.type == "cuda" if self._half is None else self._half
        self.encoder.half = wish and self.device.type != "cpu"
        self.rekey()
        return self

    @torch.no_grad()
    def encode(self, view: Tensor) -> Embedding:
        """Encode one grey view (1, 1, H, W) in [0, 1] with H, W ≤ `tile`."""
        size = (int(view.shape[-2]), int(view.shape[-1]))
        return Embedding(self.encoder(view.to(self.device)), None, size)

    @torch.no_grad()
    def decode(
        self,
        emb: Embedding,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """See `PromptModel.decode`."""
        given = [t for t in (points, boxes, masks) if t is not None]
        count = len(given[0]) if given else 1
        tensors = (points, labels, boxes, masks)
        parts = [
            self._decode(emb, [_some(t, i) for t in tensors], multimask)
            for i in range(0, count, PROMPTS_AT_ONCE)
        ]
        logits, scores = (torch.cat(p) for p in zip(*parts, strict=True))
        quarter = self.tile // 4
        if logits.shape[-1] != quarter:  # patches of another size than 16
            logits = F.interpolate(logits, (quarter, quarter), mode="bilinear")
        return logits, scores

    def _decode(
        self,
        emb: Embedding,
        prompts: list[Tensor | None],
        multimask: bool,
    ) -> tuple[Tensor, Tensor]:
        points, labels, boxes, masks = prompts
        encoder = self.sam.prompt_encoder
        clicks = corners = prior = None
        if points is not None and labels is not None:
            at = points.to(self.device, torch.float32).flip(-1)  # to (x, y)
            clicks = (at, labels.to(self.device))
        if boxes is not None:
            # (x0, y0, x1, y1), the last pixels included
            ends = torch.tensor([0.0, 0.0, 1.0, 1.0], device=self.device)
            corners = boxes.to(self.device, torch.float32)[:, [1, 0, 3, 2]] - ends
        if masks is not None:
            prior = masks.to(self.device, torch.float32)
            if tuple(prior.shape[-2:]) != encoder.mask_input_size:
                prior = F.interpolate(prior, encoder.mask_input_size, mode="bilinear")
        sparse, dense = encoder(points=clicks, boxes=corners, masks=prior)
        return self.sam.mask_decoder(
            image_embeddings=emb.image.to(self.device),
            image_pe=self._grid_positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )


def _some(tensor: Tensor | None, start: int) -> Tensor | None:
    return None if tensor is None else tensor[start : start + PROMPTS_AT_ONCE]


def build_tiny_sam(
    seed: int = 0, image_size: int = 128, device: str = "cpu"
) -> SamModel:
    """A SAM of 0.2 million random numbers: every path of the real one, at no cost."""
    config = SamConfig(
        image_size=image_size,
        dim=64,
        depth=2,
        heads=2,
        global_blocks=(1,),
        window=7,
        out_chans=32,
        decoder_mlp=64,
        iou_hidden=32,
    )
    generator = torch.Generator().manual_seed(seed)
    sam = build_sam(config)
    with torch.no_grad():
        for name, value in sam.named_parameters():
            if "norm" not in name:
                spread = 0.02 if "rel_pos" in name or "pos_embed" in name else 0.08
                value.copy_(torch.randn(value.shape, generator=generator) * spread)
        matrix = sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
        matrix.copy_(torch.randn(matrix.shape, generator=generator))
    return SamModel(sam, f"tiny-sam-{seed}", device)
