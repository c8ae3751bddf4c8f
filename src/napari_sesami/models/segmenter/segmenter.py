"""Segmenter: a net with its classes and pixel size, asked for planes of any size."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json
from napari_sesami.models.device import choose_device
from napari_sesami.models.segmenter.net import SegmenterNet, SegmenterPlan
from napari_sesami.models.types import ModelError
from napari_sesami.models.weights import name_of_weights, read_weights, write_weights
from napari_sesami.scan import TilePlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.scan import Scan

WEIGHTS, CARD = "segmenter.safetensors", "segmenter.json"
TILE, OVERLAP = 512, 64
NOTHING = 0
SAME = 1.02
"""Pixel sizes that differ less are the same."""
FARTHEST = 4.0
"""Magnification beyond which a scan is not resampled to what was learnt."""


@dataclass(frozen=True)
class SegmenterCard:
    """What a segmenter says of itself.

    Attributes
    ----------
    classes
        Name by id, in the order of the net's outputs; id 0 is "nothing".
    pixel_size, unit
        Of the pictures it learnt from; None where unknown.
    modality
        Of these, or "".
    title, created, metrics, notes
        For people.
    """

    classes: dict[int, str]
    pixel_size: float | None = None
    unit: str | None = None
    modality: str = ""
    title: str = ""
    created: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def top(self) -> int:
        """The largest class id."""
        return max(self.classes)


@dataclass(frozen=True, eq=False)
class SegmentedPlane:
    """What a segmenter says of one plane; shaped as retrieval's answers are.

    Attributes
    ----------
    labels
        (H, W) uint8 class ids; 0 is nothing.
    votes
        (H, W, C) float32 probabilities; channel k is class k + 1. They add up to one
        with that of "nothing".
    novelty
        (H, W) float32: 1 − probability of the likeliest class.
    """

    labels: NDArray[np.uint8]
    votes: NDArray[np.float32]
    novelty: NDArray[np.float32]


class Segmenter:
    """Labels planes of any size, tile by tile, blended where tiles overlap.

    Parameters
    ----------
    net
        The net; its outputs stand for `card.classes` in that order.
    card
        Classes, pixel size and so on.
    device
        `"auto"`, `"cpu"`, `"cuda"` …
    """

    def __init__(
        self, net: SegmenterNet, card: SegmenterCard, device: str = "auto"
    ) -> None:
        if net.plan.outputs != len(card.classes):
            raise ModelError(
                f"The net has {net.plan.outputs} outputs for {len(card.classes)} "
                "classes; the file is damaged."
            )
        self.device = torch.device(choose_device(device).name)
        self.net = net.to(self.device).eval()
        self.card = card
        self.name = card.title or "segmenter"
        self._key = ""

    @property
    def key(self) -> str:
        """Hash of weights and classes, for caches."""
        if not self._key:
            told = json.dumps([self.net.plan.to_dict(), list(self.card.classes)])
            self._key = name_of_weights(told, self.net, None)
        return self._key

    # --- planes

    def bands(
        self, pixels: NDArray[np.float32], tile: int = TILE, overlap: int = OVERLAP
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Probabilities from top to bottom, a band of rows at a time.

        Memory holds a row of tiles, however large the plane is.

        Parameters
        ----------
        pixels
            (H, W), or (3, H, W) for a net that reads RGB, in [0, 1].
        tile, overlap
            Side of a tile, and what neighbours share of it.

        Yields
        ------
        rows, probabilities
            A slice, and (outputs, rows, W).
        """
        stack = pixels[None] if pixels.ndim == 2 else pixels
        channels = self.net.plan.channels
        if stack.ndim != 3 or len(stack) not in (1, channels):
            raise ModelError(
                f"This segmenter reads planes of {channels} channels; the given one "
                f"has the shape {pixels.shape}."
            )
        if len(stack) != channels:
            stack = np.repeat(stack, channels, 0)
        height, width = stack.shape[1:]
        plan = TilePlan.of((height, width), tile, overlap)
        rows, columns = plan.grid
        outputs = self.net.plan.outputs
        kept = np.zeros((outputs, 0, width), np.float32)
        top = 0
        for row in range(rows):
            place = plan[row * columns][0]
            band = np.zeros((outputs, place.stop - place.start, width), np.float32)
            band[:, : kept.shape[1]] = kept
            for at in range(row * columns, (row + 1) * columns):
                check_cancelled()
                y, x = plan[at]
                band[:, :, x] += self._tile(stack[:, y, x]) * plan.weights(at)
            end = plan[(row + 1) * columns][0].start if row + 1 < rows else height
            done = end - top
            yield slice(top, end), band[:, :done]
            kept, top = band[:, done:], end

    @torch.no_grad()
    def _tile(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        view = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None]
        return self.net(view.to(self.device)).softmax(1)[0].float().cpu().numpy()

    def segment(
        self, pixels: NDArray[np.float32], tile: int = TILE, overlap: int = OVERLAP
    ) -> SegmentedPlane:
        """Labels and probabilities of a plane; arguments as those of `bands`."""
        shape = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        ids = np.array(list(self.card.classes), np.uint8)
        labels = np.zeros(shape, np.uint8)
        votes = np.zeros((*shape, self.card.top), np.float32)
        novelty = np.zeros(shape, np.float32)
        for rows, p in self.bands(pixels, tile, overlap):
            labels[rows] = ids[p.argmax(0)]
            novelty[rows] = 1 - p.max(0)
            for channel, id_ in enumerate(ids):
                if id_ != NOTHING:
                    votes[rows, :, id_ - 1] = p[channel]
        return SegmentedPlane(labels, np.clip(votes, 0, 1), np.clip(novelty, 0, 1))

    def labels(self, pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Class ids of a plane alone: no probabilities are kept."""
        ids = np.array(list(self.card.classes), np.uint8)
        parts = [ids[p.argmax(0)] for _, p in self.bands(pixels)]
        return np.concatenate(parts)

    # --- scans

    def zoom(self, scan: Scan) -> float:
        """Factor by which a scan is resampled to be as large as what was learnt.

        Raises
        ------
        ModelError
            Its magnification is too far from that; the sentence says both.
        """
        at = scan.axes.index("y")
        size, unit = scan.pixel_size[at], scan.units[at]
        learnt = self.card.pixel_size
        if learnt is None or size is None or unit != self.card.unit:
            return 1.0
        factor = size / learnt
        if not 1 / FARTHEST <= factor <= FARTHEST:
            raise ModelError(
                f"{scan.name} has pixels of {size:g} {unit}, and this segmenter learnt "
                f"from pixels of {learnt:g} {unit}; label some of this magnification "
                "and train again."
            )
        return 1.0 if 1 / SAME <= factor <= SAME else factor

    def segment_scan(self, scan: Scan, plane: int = 0) -> SegmentedPlane:
        """Labels and probabilities of one plane, at the scan's own pixels."""
        grey = scan.grey(plane) if self.net.plan.channels == 1 else _colour(scan, plane)
        zoom = self.zoom(scan)
        found = self.segment(_scaled(grey, zoom))
        shape = scan.plane_shape
        if found.labels.shape != shape:
            votes = _sized(np.moveaxis(found.votes, -1, 0), shape)
            nothing = 1 - found.votes.sum(-1)
            rest = _sized(nothing[None], shape)
            every = np.concatenate([rest, votes])
            if NOTHING not in self.card.classes:
                every[0] = 0
            labels = every.argmax(0).astype(np.uint8)
            novelty = 1 - every.max(0)
            votes = np.moveaxis(votes, 0, -1)
            found = SegmentedPlane(labels, votes.clip(0, 1), novelty.clip(0, 1))
        if scan.ignore is not None:
            found.labels[scan.ignore] = 0
        return found

    # --- on disk

    def save(self, folder: Path) -> Path:
        """Write weights (safetensors) and card (JSON) into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.detach().cpu() for k, v in self.net.state_dict().items()}
        write_weights(folder / WEIGHTS, state, {"segmenter": "1"})
        card = {**asdict(self.card), "plan": self.net.plan.to_dict()}
        card["classes"] = [[k, v] for k, v in self.card.classes.items()]
        write_json(folder / CARD, card)
        return folder / WEIGHTS

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> Segmenter:
        """Read what `save` wrote; a run's folder will do, too."""
        place = segmenter_folder(folder)
        card, plan = read_segmenter_card(place)
        state, _ = read_weights(place / WEIGHTS)
        net = SegmenterNet(plan, pretrained=False)
        try:
            net.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(
                f"The weights in {place} do not fit the net that its card describes; "
                "get the folder again."
            ) from error
        return cls(net, card, device)


class _PlanRow(TypedDict):
    architecture: str
    encoder: str
    outputs: int
    channels: int
    width: int


class _SegmenterRow(TypedDict):
    """The file ``segmenter.json``; keys of later versions are passed over."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]
    classes: list[tuple[int, str]]
    pixel_size: float | None
    unit: str | None
    modality: str
    title: str
    created: str
    metrics: dict[str, Any]
    notes: list[str]
    plan: _PlanRow


def segmenter_folder(place: str | Path) -> Path:
    """Folder of a segmenter's files: the given one, or that of a run's result.

    Raises
    ------
    ModelError
        There is no segmenter.
    """
    path = Path(place).expanduser()
    for candidate in (path, path / "adapter", path.parent):
        if (candidate / CARD).is_file() and (candidate / WEIGHTS).is_file():
            return candidate
    raise ModelError(
        f"There is no segmenter in {path}; give the folder of a finished run of the "
        f"recipe semi, or one that holds {WEIGHTS} and {CARD}."
    )


def read_segmenter_card(folder: Path) -> tuple[SegmenterCard, SegmenterPlan]:
    """Read classes and build plan of a segmenter, without its weights."""
    row = read_checked(folder / CARD, _SegmenterRow, ModelError, most=1 << 22)
    classes = dict(row["classes"])
    plan = dict(row["plan"])
    if not all(0 <= k <= 254 for k in classes) or len(classes) != plan["outputs"]:
        raise ModelError(f"The classes in {folder / CARD} are damaged.")
    told = {k: v for k, v in row.items() if k not in ("plan", "classes", "notes")}
    card = SegmenterCard(classes, notes=tuple(row["notes"]), **cast("Any", told))
    return card, SegmenterPlan(**plan)


def _colour(scan: Scan, plane: int) -> NDArray[np.float32]:
    """(3, H, W) of a colour scan by its own normalisation; grey three times."""
    if not scan.is_rgb:
        return np.repeat(scan.grey(plane)[None], 3, 0)
    pixels = np.moveaxis(np.asarray(scan.plane(plane))[..., :3], -1, 0)
    return np.stack([scan.normalisation.apply(c.astype(np.float32)) for c in pixels])


def _scaled(pixels: NDArray[np.float32], zoom: float) -> NDArray[np.float32]:
    if zoom == 1.0:
        return pixels
    shape = tuple(max(1, round(n * zoom)) for n in pixels.shape[-2:])
    flat = pixels[None] if pixels.ndim == 2 else pixels
    out = _sized(flat, shape)
    return out[0] if pixels.ndim == 2 else out


def _sized(stack: NDArray[Any], shape: Any) -> NDArray[np.float32]:
    """(C, H, W) bilinearly at another size, smoothed first where that is smaller."""
    whole = torch.from_numpy(np.ascontiguousarray(stack, np.float32))[None]
    grown = torch.nn.functional.interpolate(
        whole, tuple(shape), mode="bilinear", align_corners=False, antialias=True
    )
    return grown[0].numpy()
