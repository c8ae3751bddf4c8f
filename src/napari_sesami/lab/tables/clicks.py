"""Clicks on fresh procedural scans beside simple rivals: overlap, seams, honest scores.

The protocol is the usual one: the first click lands at the deepest point of the object,
each later one at the deepest point of the larger error.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage
from skimage.segmentation import flood, random_walker

from napari_sesami.lab.judge.jobs import nano_of
from napari_sesami.lab.judge.learn import reliability
from napari_sesami.lab.judge.questions import (
    MODALITY,
    deep_point,
    objects,
    scene,
    size_class,
)
from napari_sesami.prompt import Mask, Predictor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.models import PromptModel
    from napari_sesami.scan import Scan

FRESH = 888_000  # seeds that neither weights nor judge were learnt from
FAMILIES = tuple(MODALITY)
ASKED = (1, 3, 5)
GRID = 32  # views of the net start at multiples of this
STRAIGHT = 8  # pixels in a row that make a cut
EVEN, SHARP = 0.1, 0.1  # greys within, and at least apart from the ring


class Clicker(Protocol):
    """Answers clicks or a box on one scan."""

    def start(self, scan: Scan) -> None:
        """Take the next scan."""
        ...

    def answer(
        self, points: list[Any], labels: list[int], box: Any
    ) -> tuple[NDArray[np.bool_], float]:
        """Give mask and score (nan where there is none)."""
        ...


class NetClicker:
    """The model, with the pool or plain; the last mask is handed back."""

    def __init__(self, model: PromptModel, plain: bool) -> None:
        self.predictor = Predictor(model, plain=plain)

    def start(self, scan: Scan) -> None:
        """Take the next scan."""
        self.scan = scan
        self.last: Mask | None = None
        self.predictor.store.clear()

    def answer(
        self, points: list[Any], labels: list[int], box: Any
    ) -> tuple[NDArray[np.bool_], float]:
        """Ask with all clicks so far."""
        if box is not None:
            found = self.predictor.predict(self.scan, box=box)
        else:
            last = self.last if len(points) > 1 else None
            found = self.predictor.predict(
                self.scan, points=points, labels=labels, mask=last
            )
            self.last = found
        return found.full, found.score


class Flood:
    """Flood fill of a smoothed picture within a fixed tolerance of grey."""

    def start(self, scan: Scan) -> None:
        """Take the next scan."""
        h, w = scan.plane_shape
        self.grey = ndimage.gaussian_filter(scan.grey(0, (0, 0, h, w)), 1.0)

    def answer(
        self, points: list[Any], labels: list[int], box: Any
    ) -> tuple[NDArray[np.bool_], float]:
        """Unite the floods of clicks on, take away those of clicks off."""
        out = np.zeros(self.grey.shape, bool)
        if box is not None:
            y0, x0, y1, x1 = box
            points, labels = [((y0 + y1) // 2, (x0 + x1) // 2)], [1]
        for sign, tolerance in ((1, 0.08), (0, 0.04)):
            for at, label in zip(points, labels, strict=True):
                if label == sign:
                    part = flood(self.grey, tuple(at), tolerance=tolerance)
                    out = out | part if sign else out & ~part
        if box is not None:
            inside = np.zeros_like(out)
            inside[y0:y1, x0:x1] = True
            out &= inside
        return out, np.nan


class Walker:
    """Random walker in a window around the clicks, its rim taken for background."""

    REACH = 110

    def start(self, scan: Scan) -> None:
        """Take the next scan."""
        h, w = scan.plane_shape
        self.grey = scan.grey(0, (0, 0, h, w))

    def answer(
        self, points: list[Any], labels: list[int], box: Any
    ) -> tuple[NDArray[np.bool_], float]:
        """Walk from 3 × 3 pixels around each click, or from the core of the box."""
        shape = self.grey.shape
        seeds = np.zeros(shape, int)
        if box is not None:
            y0, x0, y1, x1 = box
            seeds[:] = 2
            seeds[y0:y1, x0:x1] = 0
            cy, cx = (y0 + y1) // 2, (x0 + x1) // 2
            hy, hx = max(1, (y1 - y0) // 6), max(1, (x1 - x0) // 6)
            seeds[cy - hy : cy + hy, cx - hx : cx + hx] = 1
            low, high = (y0 - 20, x0 - 20), (y1 + 20, x1 + 20)
        else:
            for (y, x), label in zip(points, labels, strict=True):
                seeds[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 2 - label
            on = [p for p, label in zip(points, labels, strict=True) if label]
            middle = np.mean(on, 0).astype(int)
            low, high = tuple(middle - self.REACH), tuple(middle + self.REACH)
        window = tuple(
            slice(max(a, 0), min(b, n))
            for a, b, n in zip(low, high, shape, strict=True)
        )
        here = seeds[window]
        if box is None:
            here[0], here[-1], here[:, 0], here[:, -1] = 2, 2, 2, 2
        out = np.zeros(shape, bool)
        if (here == 1).any() and (here == 2).any():
            walked = random_walker(self.grey[window], here, beta=300, mode="cg_j")
            out[window] = walked == 1
        return out, np.nan


class GrabCut:
    """OpenCV's GrabCut, where OpenCV is installed (it is no dependency).

    From a box as usual; from clicks in a window around them, whose rim is background
    and where a disc around each click on the object is likely the object.
    """

    REACH, DISC, SEED = 160, 20, 2

    def start(self, scan: Scan) -> None:
        """Take the next scan."""
        h, w = scan.plane_shape
        grey = np.clip(255 * scan.grey(0, (0, 0, h, w)), 0, 255).astype(np.uint8)
        self.image = np.repeat(grey[..., None], 3, 2)

    def answer(
        self, points: list[Any], labels: list[int], box: Any
    ) -> tuple[NDArray[np.bool_], float]:
        """Cut, and keep what hangs together with the clicks."""
        cv2 = import_module("cv2")
        h, w = self.image.shape[:2]
        if box is not None:
            y0, x0, y1, x1 = box
            low, high = (y0 - 20, x0 - 20), (y1 + 20, x1 + 20)
        else:
            on = [p for p, label in zip(points, labels, strict=True) if label]
            low = tuple(np.min(on, 0) - self.REACH)
            high = tuple(np.max(on, 0) + self.REACH + 1)
        top, left = max(low[0], 0), max(low[1], 0)
        window = np.s_[top : min(high[0], h), left : min(high[1], w)]
        here = np.ascontiguousarray(self.image[window])
        marks = np.full(here.shape[:2], cv2.GC_PR_BGD, np.uint8)
        marks[[0, -1]] = marks[:, [0, -1]] = cv2.GC_BGD
        if box is not None:
            marks[:] = cv2.GC_BGD
            marks[y0 - top : y1 - top, x0 - left : x1 - left] = cv2.GC_PR_FGD
        for value, near, sign in (
            (cv2.GC_PR_FGD, self.DISC, 1),
            (cv2.GC_FGD, self.SEED, 1),
            (cv2.GC_BGD, self.SEED, 0),
        ):
            for (y, x), label in zip(points, labels, strict=True):
                if label == sign:
                    cv2.circle(marks, (int(x) - left, int(y) - top), near, value, -1)
        out = np.zeros((h, w), bool)
        try:
            cv2.setRNGSeed(0)
            models = (np.zeros((1, 65)), np.zeros((1, 65)))
            cv2.grabCut(here, marks, None, *models, 5, cv2.GC_INIT_WITH_MASK)
        except cv2.error:  # nothing is left for one side
            return out, np.nan
        found = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
        if points:
            parts, _ = ndimage.label(found)
            at = [p for p, label in zip(points, labels, strict=True) if label]
            hit = [parts[y - top, x - left] for y, x in at]
            found &= np.isin(parts, hit)
        out[window] = found
        return out, np.nan


@dataclass
class Row:
    """One object by one method."""

    method: str
    family: str
    modality: str
    size: str
    clicks: dict[int, float] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    box: float = np.nan
    box_score: float = np.nan
    seam: float = 0.0
    seed: int = 0
    even: bool = False
    """Whether the object is an even grey region with sharp borders."""
    first: float = np.nan
    later: float = np.nan
    """Seconds of processor for the first click, and for one of the others."""


def click_rows(
    family: str,
    seed: int,
    per_scene: int = 3,
    only: Sequence[str] | None = None,
    balanced: bool = False,
    weights: Path | None = None,
) -> list[Row]:
    """Click through objects of a fresh scan with every method."""
    model = nano_of(weights)
    methods: dict[str, Clicker] = {
        "pool": NetClicker(model, plain=False),
        "net alone": NetClicker(model, plain=True),
        "flood fill": Flood(),
        "random walker": Walker(),
        "GrabCut": GrabCut(),
    }
    rows: list[Row] = []
    scan, regions = scene(family, FRESH + seed)
    rng = np.random.default_rng([seed, *family.encode()])
    chosen = objects(regions, rng, per_scene, balanced)
    for name, method in methods.items():
        if name not in (only or [m for m in methods if m != "GrabCut"]):
            continue
        method.start(scan)
        for truth in chosen:
            row = _one(name, method, truth, scan)
            row.family, row.modality = family, MODALITY.get(family, "random")
            row.seed, row.even = seed, is_even(truth, scan)
            rows.append(row)
    return rows


def _one(name: str, method: Clicker, truth: NDArray[np.bool_], scan: Scan) -> Row:
    row = Row(name, "", "", size_class(truth))
    points: list[Any] = []
    labels: list[int] = []
    found, score = np.zeros_like(truth), np.nan
    later = []
    for i in range(1, max(ASKED) + 1):
        (here, missed), (there, extra) = (
            deep_point(truth & ~found),
            deep_point(found & ~truth),
        )
        if max(missed, extra) > 0:  # else it is perfect: nobody clicks
            points.append(here if missed >= extra else there)
            labels.append(int(missed >= extra))
            begin = time.process_time()
            found, score = method.answer(points, labels, None)
            spent = time.process_time() - begin
            if i == 1:
                row.first = spent
            else:
                later.append(spent)
        if i in ASKED:
            row.clicks[i], row.scores[i] = _iou(found, truth), float(score)
        if i == 1:
            row.seam = seam(found, scan)
    row.later = float(np.mean(later)) if later else np.nan
    y, x = np.nonzero(truth)
    box = (int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1)
    boxed, row.box_score = method.answer([], [], box)
    row.box = _iou(boxed, truth)
    return row


def is_even(truth: NDArray[np.bool_], scan: Scan) -> bool:
    """Whether an object has one grey inside and clearly another all around."""
    h, w = truth.shape
    grey = ndimage.gaussian_filter(scan.grey(0, (0, 0, h, w)), 1.0)
    core = ndimage.binary_erosion(truth, iterations=3)
    ring = ndimage.binary_dilation(truth, iterations=5)
    ring &= ~ndimage.binary_dilation(truth, iterations=2)
    if np.count_nonzero(core) < 50 or not ring.any():
        return False
    low, high = np.quantile(grey[core], (0.02, 0.98))
    middle = float(np.median(grey[core]))
    apart = np.quantile(np.abs(grey[ring] - middle), 0.05)
    return bool(high - low < EVEN and apart > SHARP)


def seam(mask: NDArray[np.bool_], scan: Scan) -> float:
    """Share of the border on straight runs where views may end, without an edge."""
    h, w = mask.shape
    if not mask.any() or max(h, w) <= GRID:
        return 0.0
    grey = ndimage.gaussian_filter(scan.grey(0, (0, 0, h, w)), 1.0)
    border = bad = 0
    for m, g in ((mask, grey), (mask.T, grey.T)):
        step = np.abs(np.diff(g, axis=0))
        differs = m[1:] != m[:-1]
        border += int(np.count_nonzero(differs))
        flat = differs & (step < max(float(np.median(step)) * 2, 0.01))
        for line in range(GRID, m.shape[0], GRID):
            run = flat[line - 1]
            parts, count = ndimage.label(run)
            if count:
                sizes = np.bincount(parts)[1:]
                bad += int(sizes[sizes >= STRAIGHT].sum())
    return bad / max(border, 1)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(a & b)) / max(int(np.count_nonzero(a | b)), 1)


def report(rows: Sequence[Row]) -> str:
    """The table: by modality and size, each method; then seams and scores."""
    groups: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for name in (
            "all",
            row.modality,
            f"all, {row.size}",
            f"{row.modality}, {row.size}",
            *["all, even"] * row.even,
        ):
            groups[name][row.method].append(row)
    lines = [f"{'IoU after 1 / 3 / 5 clicks, box':<34}{'n':>4}"]
    for name in sorted(groups):
        for method, some in groups[name].items():
            means = [np.mean([r.clicks[i] for r in some]) for i in ASKED]
            cells = "  ".join(
                f"{m:.3f}" for m in (*means, np.mean([r.box for r in some]))
            )
            lines.append(f"{name:<18}{method:<16}{len(some):>4}  {cells}")
    for method in dict.fromkeys(r.method for r in rows):
        mine = [r for r in rows if r.method == method]
        seams = np.mean([r.seam for r in mine])
        first = 1e3 * np.mean([r.first for r in mine])
        later = 1e3 * np.nanmean([r.later for r in mine])
        lines.append(
            f"{method:<16} seams {seams:.4f}  ms of processor: first click "
            f"{first:.0f}, later ones {later:.0f}"
        )
        said, true = said_and_true(mine)
        if len(said):
            related, error, bins = reliability(said, true)
            lines.append(f"{'':<16} score: correlation {related:.2f}, ECE {error:.3f}")
            lines += [f"{'':<18}said {a:.2f} true {b:.2f} ({n})" for a, b, n in bins]
    return "\n".join(lines)


def said_and_true(rows: Sequence[Row]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores and overlaps of all answers that have a score."""
    pairs = [(r.scores[i], r.clicks[i]) for r in rows for i in ASKED]
    pairs += [(r.box_score, r.box) for r in rows]
    both = np.array([p for p in pairs if np.isfinite(p[0])]).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as JSON values, for curves."""
    return [asdict(row) for row in rows]
