"""A token encoder whose weights can be trained, and written to load again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sesami.models.types import ModelError
from napari_sesami.models.weights import read_facts, write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sesami.models.types import TokenEncoder


class TunableEncoder(nn.Module):
    """The net below a token encoder; calling it gives its tokens, with gradients.

    Normalisation over batches keeps the statistics of the weights it began with: the
    batches of fine-tuning are too small to measure others.

    Parameters
    ----------
    encoder
        Loaded by `load_token_encoder`, of sesami-nano, EfficientNet-Lite0 or a ViT.

    Raises
    ------
    ModelError
        An encoder of this kind cannot be fine-tuned.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        from napari_sesami.models.nano.model import NanoTokens
        from napari_sesami.models.tokens.encoders import Debiased, VitTokens
        from napari_sesami.models.tokens.features import FeatureTokens

        super().__init__()
        inner: Any = encoder.encoder if isinstance(encoder, Debiased) else encoder
        self.stride, self.dim = inner.stride, inner.dim
        self._facts: dict[str, str] = {}
        self._whole: nn.Module
        if isinstance(inner, NanoTokens):
            self.net: nn.Module = inner.nano.net.image_encoder
            self._tokens: Any = lambda view: self.net(view)[1]
            self._keep(inner.nano.net)
            self._facts["nano"] = json.dumps(inner.nano.net.config)
        elif isinstance(inner, FeatureTokens | VitTokens):
            self.net = inner.net
            undecorated = getattr(type(inner).encode, "__wrapped__")  # noqa: B009 mypy
            self._tokens = lambda view: undecorated(inner, view)
            # below a feature encoder lies the net whose names its weights have
            self._keep(inner.net.net if isinstance(inner, FeatureTokens) else inner.net)
        else:
            raise ModelError(
                f"“{encoder.name}” cannot be fine-tuned; take sesami-nano, lite0 or a "
                "plain vision transformer."
            )
        for parameter in self.net.parameters():
            parameter.requires_grad_(True)
        self.net.eval()
        blank = torch.zeros(1, 1, 64, 64, device=inner.device)
        self._tokens(blank).sum().backward()
        for parameter in self.net.parameters():  # what tokens do not need stays
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None

    def _keep(self, whole: nn.Module) -> None:
        # beside the parts of this module: its weights are those of `net`
        object.__setattr__(self, "_whole", whole)

    def forward(self, view: Tensor) -> Tensor:
        """Give tokens (B, dim, rows, columns) of length one of (B, 1, H, W)."""
        return F.normalize(self._tokens(view), dim=1)

    def train(self, mode: bool = True) -> TunableEncoder:
        """Train, but for statistics over batches."""
        super().train(mode)
        for part in self.net.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the weights; `load_token_encoder` loads them."""
        state = self._whole.state_dict()
        write_weights(path, state, {**self._facts, "gives": "tokens", **facts})


def facts_of_encoder(name_or_path: str | Path) -> dict[str, str]:
    """Read what the file of an encoder says of itself."""
    from pathlib import Path

    from napari_sesami.models import catalog

    path = Path(name_or_path)
    if path.suffix == ".safetensors" or path.is_file():
        return read_facts(path)
    return read_facts(catalog.find(str(name_or_path)).path)
