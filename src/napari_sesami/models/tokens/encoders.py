"""Token encoders: dense features of a tile from a SAM or any vision transformer."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.models.device import choose_device
from napari_sesami.models.tokens.vit import build_vit, fold_grey
from napari_sesami.models.types import weights_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sesami.models.sam.model import SamModel
    from napari_sesami.models.types import TokenEncoder

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
GREYS = (0.25, 0.5, 0.75)


class SamTokens:
    """Tokens of a SAM encoder, at any size up to its tile.

    Parameters
    ----------
    model
        A SAM; its weights are shared.
    layer
        After which block; None takes the output of the neck, which prompts use too.
    """

    def __init__(self, model: SamModel, layer: int | None = None) -> None:
        self.model, self.layer = model, layer
        encoder = model.sam.image_encoder
        self.name = model.name
        self.stride = int(encoder.patch_embed.proj.stride[0])
        self.tile = model.tile
        self.dim = int(
            encoder.neck[0].out_channels
            if layer is None
            else encoder.neck[0].in_channels
        )

    @property
    def key(self) -> str:
        """Changes with the weights and with the layer."""
        return f"{self.model.key}-{'neck' if self.layer is None else self.layer}"

    @property
    def weights_key(self) -> str:
        """The same in any precision."""
        return self.key.replace(self.model.key, self.model.weights_key)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.device

    @torch.no_grad()
    def encode(self, view: Tensor, normalise: bool = False) -> Tensor:
        """See `TokenEncoder.encode`; small views cost little, nothing is padded."""
        view = whole_patches(view.to(self.device), self.stride)
        if self.layer is None:
            tokens = self.model.encoder(view, pad=False)
        else:
            found = self.model.encoder.tokens(view, pad=False, layer=self.layer)
            tokens = found.permute(0, 3, 1, 2).float()
        return F.normalize(tokens, dim=1) if normalise else tokens


class VitTokens:
    """Tokens of any vision transformer of timm.

    Parameters
    ----------
    net
        With three input channels or one; grey is folded into its first weights.
    name
        For people.
    layers
        After which blocks, counted from the end if negative; several are put side by
        side, each of length one.
    mean, std
        Of its training pixels, in [0, 1]; None takes those of ImageNet for three
        channels, 0 and 1 for one.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    half
        Compute in bfloat16; None does it on a GPU only.
    """

    def __init__(
        self,
        net: nn.Module,
        name: str = "vit",
        layers: Sequence[int] = (-1,),
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        device: str = "auto",
        half: bool | None = None,
    ) -> None:
        choice = choose_device(device)
        inner: Any = net
        colour = inner.patch_embed.proj.in_channels == 3
        self._digest = _weights_digest(net)
        fold_grey(
            net,
            mean or (IMAGENET_MEAN if colour else (0.0,)),
            std or (IMAGENET_STD if colour else (1.0,)),
        )
        self.net: Any = net.to(choice.name).eval()
        self.name = name
        self.device = torch.device(choice.name)
        self.half = choice.is_gpu if half is None else half
        depth = len(inner.blocks)
        self.layers = tuple(range(depth)[i] for i in layers)
        self.stride = int(inner.patch_embed.proj.stride[0])
        self.dim = int(inner.embed_dim) * len(self.layers)
        self.tile = 512 // self.stride * self.stride

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], heads: int | None = None, **options: Any
    ) -> VitTokens:
        """Recognise the architecture from the weights and load them."""
        return cls(build_vit(state, heads), **options)

    @property
    def key(self) -> str:
        """Changes with the weights, the layers and the precision."""
        layers = "-".join(map(str, self.layers))
        return f"{self._digest}-{layers}{'h' if self.half else ''}"

    @property
    def weights_key(self) -> str:
        """The same in any precision."""
        return self.key.removesuffix("h")

    @torch.no_grad()
    def encode(self, view: Tensor, normalise: bool = False) -> Tensor:
        """See `TokenEncoder.encode`."""
        check_cancelled()
        view = whole_patches(view.to(self.device), self.stride)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            found = self.net.forward_intermediates(
                view,
                indices=sorted(set(self.layers)),
                norm=True,
                stop_early=True,
                output_fmt="NCHW",
                intermediates_only=True,
            )
        by_layer = dict(zip(sorted(set(self.layers)), found, strict=True))
        parts = [by_layer[i].float() for i in self.layers]
        if len(parts) > 1:
            parts = [F.normalize(p, dim=1) for p in parts]
        tokens = torch.cat(parts, 1)
        return F.normalize(tokens, dim=1) if normalise else tokens


class Debiased:
    """A token encoder without what its tokens say about their place in the tile.

    Tokens of blank images differ by their place alone. The directions of that
    difference are found once per tile size and taken out of all tokens, so that the
    same material has the same token anywhere.

    Parameters
    ----------
    encoder
        Any token encoder.
    share
        How much of the difference to remove.
    most
        At most so many directions; by default an eighth of the tokens' numbers.
    """

    def __init__(
        self, encoder: TokenEncoder, share: float = 0.95, most: int | None = None
    ) -> None:
        self.encoder = encoder
        self.share = share
        self.most = max(encoder.dim // 8, 1) if most is None else most
        self.name, self.stride = encoder.name, encoder.stride
        self.dim, self.tile = encoder.dim, encoder.tile
        self._bases: dict[tuple[int, int], Tensor] = {}

    @property
    def key(self) -> str:
        """Not that of the encoder itself: the tokens differ."""
        return f"{self.encoder.key}-debiased-{self.share:g}-{self.most}"

    @property
    def weights_key(self) -> str:
        """The same in any precision."""
        return self.key.replace(self.encoder.key, weights_key(self.encoder))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.encoder.device

    @torch.no_grad()
    def encode(self, view: Tensor, normalise: bool = False) -> Tensor:
        """See `TokenEncoder.encode`."""
        tokens = self.encoder.encode(view)
        basis = self._basis(int(view.shape[-2]), int(view.shape[-1]))
        along = torch.einsum("bdhw,kd->bkhw", tokens, basis)
        tokens = tokens - torch.einsum("bkhw,kd->bdhw", along, basis)
        return F.normalize(tokens, dim=1) if normalise else tokens

    def _basis(self, height: int, width: int) -> Tensor:
        """Directions (k, dim) in which tokens of blank images differ."""
        if (height, width) not in self._bases:
            if len(self._bases) > 16:
                self._bases.clear()
            self._bases[height, width] = self._find(height, width)
        return self._bases[height, width]

    def _find(self, height: int, width: int) -> Tensor:
        greys = torch.tensor(GREYS, device=self.device).view(-1, 1, 1, 1)
        blank = greys.expand(-1, 1, height, width)
        tokens = torch.cat([self.encoder.encode(b[None]) for b in blank]).flatten(2)
        apart = (tokens - tokens.mean(2, keepdim=True)).transpose(1, 2).flatten(0, 1)
        _, strength, directions = torch.linalg.svd(apart.float(), full_matrices=False)
        power = strength.square()
        if float(power.sum()) <= 1e-9 * float(tokens.square().sum()):
            return directions[:0]
        needed = int((power.cumsum(0) < self.share * power.sum()).sum()) + 1
        return directions[: min(needed, self.most)]


def whole_patches(view: Tensor, patch: int) -> Tensor:
    """Repeat the last rows and columns until both sides are multiples of the patch."""
    missing = (0, -view.shape[-1] % patch, 0, -view.shape[-2] % patch)
    return F.pad(view, missing, mode="replicate") if any(missing) else view


def _weights_digest(net: nn.Module) -> str:
    digest = blake2b(digest_size=12)
    for key, value in net.state_dict().items():
        digest.update(key.encode())
        plain = value.detach().cpu().contiguous()
        digest.update(plain.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
