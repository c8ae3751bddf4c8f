"""What every prompt model and token encoder looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class ModelError(SesamiError):
    """One plain sentence: what is wrong with weights, what is needed, what to do."""


@dataclass(frozen=True)
class Embedding:
    """One encoded view, ready for any number of prompts.

    Attributes
    ----------
    image
        (1, C, h, w), what the mask decoder reads.
    tokens
        (1, D, h4, w4) dense tokens at a quarter of the view, or None.
    input_size
        (height, width) of the valid image inside the model input, in view pixels;
        what lies right of it and below is padding.
    """

    image: Tensor
    tokens: Tensor | None
    input_size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory it takes, for caches with a cap."""
        return sum(
            t.numel() * t.element_size()
            for t in (self.image, self.tokens)
            if t is not None
        )


@runtime_checkable
class PromptModel(Protocol):
    """Encodes a square view once, then turns prompts into masks in milliseconds.

    A view is grey, float32 in [0, 1], and starts at the top left of the model input.
    `key` is a hash of the weights (and adapter): it goes into every cache key.
    `tile` is the side of the view that the model was made for.
    """

    @property
    def name(self) -> str:
        """For people and for the catalog."""
        ...

    @property
    def key(self) -> str:
        """Hash of the weights."""
        ...

    @property
    def tile(self) -> int:
        """Side of the view, in pixels."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def encode(self, view: Tensor) -> Embedding:
        """Encode (1, 1, H, W) with H, W ≤ `tile`; padding is the model's own matter."""
        ...

    def decode(
        self,
        emb: Embedding,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Masks of P independent prompts on one view.

        Parameters
        ----------
        emb
            What `encode` returned.
        points
            (P, N, 2) as (y, x) in view pixels, (0, 0) being the centre of the first.
        labels
            (P, N): 1 on the object, 0 off it, -1 padding.
        boxes
            (P, 4) as (y0, x0, y1, x1), half-open.
        masks
            (P, 1, h4, w4) logits of an earlier answer, on the grid of the result.
        multimask
            Three candidates instead of one.

        Returns
        -------
        tuple of Tensor
            Logits (P, M, h4, w4), where cell (i, j) covers view pixels 4i…4i+3,
            4j…4j+3 (cells beyond `input_size` are padding, present or not),
            and the predicted IoU (P, M).
        """
        ...


@runtime_checkable
class TokenEncoder(Protocol):
    """Gives one feature vector per `stride` × `stride` patch of a tile."""

    @property
    def name(self) -> str:
        """For people and for the catalog."""
        ...

    @property
    def key(self) -> str:
        """Hash of the weights and of all that changes tokens."""
        ...

    @property
    def stride(self) -> int:
        """Side of a patch, in pixels."""
        ...

    @property
    def dim(self) -> int:
        """Numbers per token."""
        ...

    @property
    def tile(self) -> int:
        """Side of the view it is best at, in pixels."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def encode(self, view: Tensor, normalise: bool = False) -> Tensor:
        """Tokens (B, dim, H/stride, W/stride), rounded up, of (B, 1, H, W) in [0, 1].

        Parameters
        ----------
        view
            Grey, float32; H and W are arbitrary and at most `tile` for the speed and
            quality that the encoder was made for.
        normalise
            Scale every token to length one.
        """
        ...


def weights_key(encoder: TokenEncoder) -> str:
    """Name what an encoder knows, whatever the precision it computes in.

    `key` names the last bits, too, so that caches are right; a bank needs less.
    """
    return str(getattr(encoder, "weights_key", encoder.key))
