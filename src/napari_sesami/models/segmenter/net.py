"""The net of a segmenter: an encoder whose features may be perturbed, and a decoder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sesami.models.imagenet import (
    LITE0,
    TIMM_NAME,
    as_trained,
    for_channels,
    imagenet_state,
)
from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

Architecture = Literal["unet", "deeplab", "nano"]
ARCHITECTURES: tuple[Architecture, ...] = ("unet", "deeplab", "nano")
NANO = "nano"
MULTIPLE = 32
"""Sides that the encoders take."""


@dataclass(frozen=True)
class SegmenterPlan:
    """What a segmenter is built of.

    Attributes
    ----------
    architecture
        "unet" keeps thin layers, "deeplab" is DeepLabV3+, "nano" a light decoder on
        the bundled model's own encoder.
    encoder
        "lite0" (ImageNet), or any encoder of segmentation-models-pytorch or timm
        (`"resnet18"`, `"tu-…"`), which starts from random weights; nothing is ever
        downloaded. Of "nano" alone with that architecture.
    outputs
        Classes, "nothing" counted if it is one.
    channels
        1 for grey, 3 for RGB.
    width
        Of the decoder.
    """

    architecture: Architecture = "unet"
    encoder: str = LITE0
    outputs: int = 2
    channels: int = 1
    width: int = 64

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ModelError(
                f"A segmenter is one of {', '.join(ARCHITECTURES)}; "
                f"“{self.architecture}” was given."
            )
        if self.encoder.startswith("mit_b"):
            raise ModelError(
                "The encoders mit_b0 to mit_b5 have a licence that forbids commercial "
                f"use; take {LITE0}, resnet18 or another one."
            )
        if (self.architecture == NANO) != (self.encoder == NANO):
            raise ModelError(
                "The encoder “nano” goes with the architecture “nano”, and only that."
            )
        if self.channels not in ((1,) if self.architecture == NANO else (1, 3)):
            raise ModelError(
                "A segmenter reads 1 channel (grey) or 3 (RGB), that of the bundled "
                f"model 1; {self.channels} were asked for."
            )
        if not 2 <= self.outputs <= 255 or not 8 <= self.width <= 1024:
            raise ModelError(
                "A segmenter tells 2 to 255 classes apart, with a width of 8 to 1024; "
                f"{self.outputs} and {self.width} were asked for."
            )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class SegmenterNet(nn.Module):
    """Pixels in [0, 1] to one logit per class and pixel.

    Parameters
    ----------
    plan
        What it is built of.
    pretrained
        Start from the encoder's weights where they are at hand (`lite0`, `nano`);
        else all weights are random.
    """

    def __init__(self, plan: SegmenterPlan, pretrained: bool = True) -> None:
        super().__init__()
        self.plan = plan
        if plan.architecture == NANO:
            self.parts: nn.Module = _NanoSegmenter(plan, pretrained)
            return
        import segmentation_models_pytorch as smp

        lite = plan.encoder == LITE0
        # timm inside: its ε and padding are those that the weights were trained with
        encoder = f"tu-{TIMM_NAME}" if lite else plan.encoder
        common: dict[str, Any] = {
            "encoder_weights": None,  # any name would be downloaded
            "in_channels": plan.channels,
            "classes": plan.outputs,
        }
        w = plan.width
        try:
            if plan.architecture == "unet":
                shape = tuple(max(16, n) for n in (w, 3 * w // 4, w // 2, w // 4, 16))
                made = smp.Unet(encoder, decoder_channels=shape, **common)
            else:
                made = smp.DeepLabV3Plus(encoder, decoder_channels=w, **common)
        except (KeyError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"“{plan.encoder}” is no encoder that {plan.architecture} can use "
                f"({str(error).strip()[:120]}); take {LITE0}, resnet18 or "
                "timm-mobilenetv3_small_100."
            ) from error
        self.parts = made
        if lite and pretrained:
            state = for_channels(imagenet_state(), plan.channels)
            told = made.encoder.model.load_state_dict(state, strict=False)
            head = ("conv_head.", "bn2.", "classifier.")
            more = [k for k in told.unexpected_keys if not k.startswith(head)]
            if told.missing_keys or more:
                raise ModelError("The weights of ImageNet do not fit this encoder.")

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps of (B, channels, H, W), whose sides are multiples of 32."""
        parts: Any = self.parts
        if self.plan.architecture == NANO:
            return parts.features(x)
        scaled = as_trained(x) if self.plan.encoder == LITE0 else (x - 0.45) / 0.226
        return list(parts.encoder(scaled))

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (B, outputs, H, W) of feature maps."""
        parts: Any = self.parts
        if self.plan.architecture == NANO:
            return parts.decode(features)
        return parts.segmentation_head(parts.decoder(list(features)))

    def forward(self, x: Tensor, perturbed: Tensor | None = None) -> Tensor:
        """Logits of images, and of some of them once more with perturbed features.

        Parameters
        ----------
        x
            (B, channels, H, W) in [0, 1], of any size.
        perturbed
            Numbers of the images whose features are decoded a second time with half of
            their channels dropped (Dropout2d, as UniMatch does on c1 and c4); these
            logits follow the plain ones.
        """
        height, width = (int(n) for n in x.shape[-2:])
        pad = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        lonely = self.training and len(x) == 1 and perturbed is None
        x = F.pad(x, pad, mode="replicate") if any(pad) else x
        if lonely:  # one image alone has no batch statistics where all is pooled
            x = torch.cat([x, x])
        maps = self.features(x)
        if perturbed is not None and len(perturbed):
            # a map as large as the image is the image: it is no feature
            maps = [
                torch.cat([m, m[perturbed] if m.shape[-1] == x.shape[-1]
                           else F.dropout2d(m[perturbed], 0.5)])
                for m in maps
            ]  # fmt: skip
        logits = self.decode(maps)[..., :height, :width]
        return logits[:1] if lonely else logits


class _NanoSegmenter(nn.Module):
    """Tokens (stride 4), embedding (stride 16) and a fresh stem, joined at stride 2."""

    def __init__(self, plan: SegmenterPlan, pretrained: bool) -> None:
        super().__init__()
        from napari_sesami.models.nano.model import Nano
        from napari_sesami.models.nano.net import NanoNet

        net = Nano.bundled(device="cpu", half=False).net
        if not pretrained:
            net = NanoNet(**net.config)
        self.encoder = net.image_encoder
        dim, tokens, w = net.config["dim"], net.config["token_dim"], plan.width

        def block(inside: int, outside: int) -> nn.Module:
            groups = 8 if outside % 8 == 0 else 1
            conv = nn.Conv2d(inside, outside, 3, padding=1)
            return nn.Sequential(conv, nn.GroupNorm(groups, outside), nn.GELU())

        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.GELU())
        self.coarse = nn.Conv2d(dim, w, 1)
        self.middle = block(tokens + w, w)
        self.fine = block(w + 16, w // 2)
        self.head = nn.Conv2d(w // 2, plan.outputs, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        image, tokens = self.encoder(x)
        return [self.stem(x), tokens, image]

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        fine, tokens, image = features

        def grown(a: Tensor, like: Tensor) -> Tensor:
            size = like.shape[-2:]
            return F.interpolate(a, size, mode="bilinear", align_corners=False)

        # tokens have length one; their numbers are small beside those of the embedding
        wide = grown(self.coarse(image), tokens)
        x = self.middle(torch.cat([8 * tokens, wide], 1))
        x = self.fine(torch.cat([grown(x, fine), fine], 1))
        return F.interpolate(
            self.head(x), scale_factor=2, mode="bilinear", align_corners=False
        )
