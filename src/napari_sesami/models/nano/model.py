"""sesami-nano, the bundled model: prompts and tokens from one small encoder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from napari_sesami.common.checked import checked
from napari_sesami.models.device import choose_device, choose_precision
from napari_sesami.models.nano.encoder import sides
from napari_sesami.models.nano.net import NanoNet
from napari_sesami.models.types import Embedding, ModelError
from napari_sesami.models.weights import name_of_weights, read_weights, write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from napari_sesami.models.adapters import AdapterCard
    from napari_sesami.models.lora import Lora

NAME = "sesami-nano"
MOST_CELLS = 1 << 22  # prompts × points × cells decoded at a time: about 200 MB


class Nano:
    """A `PromptModel`; `token_encoder()` gives its other side, on the same weights.

    Parameters
    ----------
    net
        The net. Call `rekey` after changing weights, so that caches notice.
    name
        For people and for the catalog.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    half
        Compute in bfloat16; None does so where `choose_precision` finds it faster.
    """

    tile = 256
    magnify = False
    """Trained at many scales: small scans are read as they are."""
    closer = True
    """But small and thin objects are answered better from a view enlarged twice."""
    lora: Lora | None = None
    adapter: AdapterCard | None = None

    def __init__(
        self,
        net: NanoNet,
        name: str = NAME,
        device: str = "auto",
        half: bool | None = None,
    ) -> None:
        choice = choose_device(device)
        self.device = torch.device(choice.name)
        self.net = net.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.name = name
        self.half = choose_precision(choice.name).half if half is None else half
        self.rekey()

    @classmethod
    def bundled(cls, **options: Any) -> Nano:
        """Load the weights that come with the package."""
        place = files("napari_sesami.models") / "weights" / f"{NAME}.safetensors"
        with as_file(place) as path:
            return cls.from_file(path, **options)

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> Nano:
        """Load weights written by :func:`save_nano`."""
        state, facts = read_weights(path)
        return cls.from_state(state, facts, **options)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], facts: Mapping[str, str], **options: Any
    ) -> Nano:
        """Build the net that the metadata describe and fill it."""
        if "nano" not in facts:
            raise ModelError(
                "These weights are not of the sesami-nano kind (their metadata do not "
                "say so); take a file written by the recipe foundation."
            )
        try:
            net = NanoNet(**checked(dict[str, Any], facts["nano"], "their metadata"))
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise ModelError(
                f"The metadata of these weights describe no net ({error}); get the "
                "file again."
            ) from error
        try:
            net.load_state_dict({k: v.float() for k, v in state.items()})
        except RuntimeError as error:
            raise ModelError(
                "The weights do not fit the net that their metadata describe; get the "
                "file again."
            ) from error
        return cls(net, **options)

    def rekey(self) -> None:
        """Name the weights by their content; caches are keyed by it.

        `weights_key` leaves the precision out: a bank fits whatever processor.
        """
        self.key = self._digest(self.half)
        self.weights_key = self._digest(False) if self.half else self.key

    def _digest(self, half: bool) -> str:
        return name_of_weights(f"nano {half}", self.net, self.lora)

    def to(self, device: str) -> Nano:
        """Move to another device, e.g. to the CPU when the GPU is out of memory."""
        self.device = torch.device(device)
        self.net.to(self.device)
        self.half = choose_precision(device).half
        self.rekey()
        return self

    def token_encoder(self) -> NanoTokens:
        """The same encoder as a source of tokens for retrieval."""
        return NanoTokens(self)

    @torch.no_grad()
    def encode(self, view: Tensor) -> Embedding:
        """Encode one grey view (1, 1, H, W) in [0, 1]; any size, best up to `tile`."""
        size = (int(view.shape[-2]), int(view.shape[-1]))
        image, tokens = self._encode(view)
        return Embedding(image, tokens, size)

    def _encode(self, view: Tensor) -> tuple[Tensor, Tensor]:
        view = view.to(self.device, torch.float32)
        height, width = sides(view.shape)
        pad = (0, width - view.shape[-1], 0, height - view.shape[-2])
        view = F.pad(view, pad, mode="replicate") if any(pad) else view
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            image, tokens = self.net.image_encoder(view)
        return image.float(), tokens.float()

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
        """Masks of P independent prompts on one view; see `PromptModel.decode`."""
        if emb.tokens is None:
            raise ModelError("An embedding without tokens is none of this model.")
        at, kinds, last = self._prompts(emb, points, labels, boxes, masks)
        cells = at.shape[1] * emb.tokens.shape[-1] * emb.tokens.shape[-2]
        step = max(1, MOST_CELLS // (4 * max(cells, 1)))
        found = []
        for i in range(0, len(at), step):
            some = slice(i, i + step)
            older = None if last is None else last[some]
            found.append(self._decode(emb, at[some], kinds[some], older))
        chosen = slice(1, None) if multimask else slice(0, 1)
        logits = torch.cat([m[:, chosen] for m, _ in found])
        return logits, torch.cat([s[:, chosen] for _, s in found]).clamp(0, 1)

    def _decode(
        self, emb: Embedding, at: Tensor, kinds: Tensor, last: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        image, tokens = emb.image.to(self.device), emb.tokens
        assert tokens is not None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            masks, score = self.net(image, tokens.to(self.device), at, kinds, last)
        return masks, score

    def _prompts(
        self,
        emb: Embedding,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Clicks and box corners in one list of points; the last answer on the grid."""
        given = next((t for t in (points, boxes, masks) if t is not None), None)
        if given is None:
            raise ModelError(
                "A prompt needs a click, a box or a mask; nothing was given."
            )
        at = torch.zeros(len(given), 0, 2, device=self.device)
        kinds = torch.zeros(len(given), 0, dtype=torch.long, device=self.device)
        if points is not None and labels is not None:
            at, kinds = points.to(at), labels.to(kinds)
        if boxes is not None:
            corners = boxes.to(at).view(-1, 2, 2) - 0.5
            at = torch.cat([at, corners], 1)
            kinds = torch.cat(
                [kinds, torch.tensor([[2, 3]]).to(kinds).expand(len(at), -1)], 1
            )
        last = None if masks is None else masks.to(at)
        assert emb.tokens is not None
        if last is not None and last.shape[-2:] != emb.tokens.shape[-2:]:
            last = _fit(last, (emb.tokens.shape[-2], emb.tokens.shape[-1]))
        if not at.shape[1] and last is not None:
            at, kinds = _middle(last), torch.full((len(last), 1), -1).to(kinds)
        return at, kinds, last


def _fit(logits: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cut or fill (with "outside") what covers a little more or less than the grid."""
    pad = (0, grid[1] - logits.shape[-1], 0, grid[0] - logits.shape[-2])
    return F.pad(logits, pad, value=-10.0)


def _middle(logits: Tensor) -> Tensor:
    """Where a mask that comes without any click is: (P, 1, 2) in view pixels."""
    w = logits.shape[-1]
    best = logits.flatten(1).argmax(1)
    return torch.stack([best // w, best % w], 1)[:, None].float() * 4 + 1.5


@dataclass
class NanoTokens:
    """The token side of a `Nano`: a `TokenEncoder` of stride 4."""

    nano: Nano
    stride: int = 4
    tile: int = 512

    @property
    def name(self) -> str:
        """As the prompt model is called."""
        return self.nano.name

    @property
    def key(self) -> str:
        """The same weights, the same key."""
        return self.nano.key

    @property
    def weights_key(self) -> str:
        """The same in any precision."""
        return self.nano.weights_key

    @property
    def dim(self) -> int:
        """Numbers per token."""
        return int(self.nano.net.config["token_dim"])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.nano.device

    @torch.no_grad()
    def encode(self, view: Tensor, normalise: bool = False) -> Tensor:
        """Tokens (B, dim, ⌈H/4⌉, ⌈W/4⌉) of (B, 1, H, W), always of length one."""
        height, width = (-(-int(s) // 4) for s in view.shape[-2:])
        return self.nano._encode(view)[1][..., :height, :width]


def save_nano(net: NanoNet, path: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write weights in half precision with what is needed to build the net again."""
    state = {k: v.detach().cpu().half() for k, v in net.state_dict().items()}
    write_weights(path, state, {"nano": json.dumps(net.config), **(facts or {})})
