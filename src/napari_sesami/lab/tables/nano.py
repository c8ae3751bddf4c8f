"""One table for states of the bundled model, and what a user would take instead.

All states and rivals answer the same objects of procedural scans that no training has
drawn: the documented families, and whole TEM sections with objects from specks to a
third of the picture. Weights are chosen by this table alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.measure import label
from skimage.segmentation import flood, random_walker

from napari_sesami.lab.scenes import FAMILIES, TEM_KINDS, tem
from napari_sesami.lab.tables.real import VoteMethod
from napari_sesami.lab.tables.synthetic import FRESH, objects
from napari_sesami.prompt import Predictor
from napari_sesami.train import Score, click_through, overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.models import Nano
    from napari_sesami.scan import Scan

LARGE = 20_000
"""Pixels from which an object counts as large."""
SECTION = (1024, 1024)
WHOLE = 0.35
"""Largest share of a section that an object takes."""
BINS = 10
"""Of the expected calibration error."""
TOLERANCE, REACH = 0.08, 110
"""Of the flood, in shares of the contrast; of the walker, pixels around the clicks."""


@dataclass(frozen=True)
class NanoExam:
    """How much is measured: scans of each family, objects on each, most clicks."""

    scans: int
    sections: int
    each: int
    clicks: int
    votes: int


SIZES = {
    "small": NanoExam(1, 1, 3, 3, 1),
    "full": NanoExam(6, 2, 6, 5, 3),
}


@dataclass(frozen=True)
class Found:
    """How one object went, and what the model said of its own answers."""

    score: Score
    area: int
    said: tuple[float, ...]
    true: tuple[float, ...]

    @property
    def size(self) -> str:
        """Thin, middle or large."""
        if self.score.thin:
            return "thin"
        return "large" if self.area > LARGE else "middle"


class ListeningPredictor:
    """Hands questions on, and keeps what is said of the answers."""

    def __init__(self, predictor: Any, truth: NDArray[np.bool_]) -> None:
        self.predictor, self.truth = predictor, truth
        self.said: list[float] = []
        self.true: list[float] = []

    def predict(self, scan: Scan, **prompt: Any) -> Any:
        """Answer."""
        found = self.predictor.predict(scan, **prompt)
        if (said := getattr(found, "score", None)) is not None:
            self.said.append(float(said))
            self.true.append(overlap(found.full, self.truth))
        return found


@dataclass(frozen=True)
class RivalMask:
    """An answer of a rival; it says nothing about itself."""

    full: NDArray[np.bool_]


class ClassicalRival:
    """Flood fill or random walker behind the interface of the predictor.

    Parameters
    ----------
    kind
        "flood" or "walker".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._of: tuple[Scan, NDArray[Any]] | None = None

    def predict(
        self,
        scan: Scan,
        points: Any = (),
        labels: Any = (),
        box: Any = None,
        mask: Any = None,
    ) -> RivalMask:
        """Answer clicks, or a box by its middle; an earlier answer is not needed."""
        if self._of is None or self._of[0] is not scan:
            self._of = scan, ndi.gaussian_filter(scan.grey(), 1.0)
        grey, room = self._of[1], None
        if box is not None:
            y0, x0, y1, x1 = (int(v) for v in box)
            points, labels = [((y0 + y1) // 2, (x0 + x1) // 2)], [1]
            room = np.zeros(grey.shape, bool)
            room[y0:y1, x0:x1] = True
        found = (self._flood if self.kind == "flood" else self._walk)(
            grey, [(int(y), int(x)) for y, x in points], list(labels), room
        )
        return RivalMask(found if room is None else found & room)

    def _flood(
        self, grey: NDArray[Any], points: Any, labels: Any, room: Any
    ) -> NDArray[np.bool_]:
        out = np.zeros(grey.shape, bool)
        for at, sign in zip(points, labels, strict=True):
            if sign:
                out |= flood(grey, at, tolerance=TOLERANCE)
        for at, sign in zip(points, labels, strict=True):
            if not sign and out[at]:
                off = flood(grey, at, tolerance=TOLERANCE)
                hit = [p for p, s in zip(points, labels, strict=True) if s and off[p]]
                out &= ~off if not hit else ~_around(grey.shape, at)
        return out

    def _walk(
        self, grey: NDArray[Any], points: Any, labels: Any, room: Any
    ) -> NDArray[np.bool_]:
        at = np.array(points)
        lo = np.maximum(at.min(0) - REACH, 0)
        hi = np.minimum(at.max(0) + REACH + 1, grey.shape)
        part = np.s_[lo[0] : hi[0], lo[1] : hi[1]]
        marks = np.zeros(tuple(hi - lo), np.int32)
        marks[[0, -1]] = marks[:, [0, -1]] = 2
        if room is not None:
            marks[~room[part]] = 2
        for y, x in (p for p, s in zip(points, labels, strict=True) if not s):
            marks[y - lo[0], x - lo[1]] = 2
        for y, x in (p for p, s in zip(points, labels, strict=True) if s):
            marks[y - lo[0], x - lo[1]] = 1
        out = np.zeros(grey.shape, bool)
        out[part] = _walked(grey[part], marks)
        return out


def _walked(grey: NDArray[Any], marks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where the first marks win; rough probabilities do."""
    walked = random_walker(grey, marks, beta=1000, mode="cg_j", prob_tol=1.0)
    return np.asarray(walked == 1)


def _around(shape: tuple[int, ...], at: tuple[int, int]) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(y - at[0], x - at[1]) < 8)


def exam_scans(exam: NanoExam) -> Iterator[tuple[str, str, Scan, NDArray[Any], float]]:
    """What is asked: (part, family, scan, regions, largest share of an object)."""
    for family, draw in sorted(FAMILIES.items()):
        for seed in range(exam.scans):
            drawn = draw(FRESH + seed)
            yield "families", family, drawn.scan(), _regions(drawn.labels), 0.25
    for kind, views in TEM_KINDS.items():
        for view in views:
            for seed in range(exam.sections):
                drawn = tem(kind, FRESH + 500 + seed, SECTION, view=view)
                regions = _regions(drawn.labels)
                yield "sections", f"{kind}_{view}", drawn.scan(), regions, WHOLE


def _regions(labels: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(label(labels, connectivity=2, background=0))


def examine_nano(
    states: Mapping[str, Nano],
    exam: NanoExam,
    *,
    rivals: bool = False,
    tell: Callable[[str], None] | None = None,
) -> dict[str, dict[str, list[Found]]]:
    """Let all answer the same objects: name of who answers → part → objects."""
    asked: dict[str, Any] = {name: Predictor(nano) for name, nano in states.items()}
    if rivals:
        asked |= {"flood fill": ClassicalRival("flood")}
        asked |= {"random walker": ClassicalRival("walker")}
    found: dict[str, Any] = {name: defaultdict(list) for name in asked}
    for i, (part, family, scan, regions, most) in enumerate(exam_scans(exam)):
        rng = np.random.default_rng([7, i])
        for truth in objects(regions, rng, exam.each, hi=most):
            area = int(np.count_nonzero(truth))
            for name, predictor in asked.items():
                ear = ListeningPredictor(predictor, truth)
                got: Any = click_through(ear, scan, truth, family, exam.clicks)  # type: ignore[arg-type]
                said, true = tuple(ear.said), tuple(ear.true)
                found[name][part].append(Found(got, area, said, true))
        for predictor in asked.values():
            if isinstance(predictor, Predictor):
                predictor.store.clear()
        if tell is not None:
            tell(f"{part}: {family}, scan {i + 1}")
    return found


def rows_of(found: list[Found]) -> dict[str, dict[str, float]]:
    """Means of all objects, by size and by family."""
    groups: dict[str, list[Found]] = {"all": found}
    for size in ("thin", "middle", "large"):
        groups[size] = [f for f in found if f.size == size]
    for f in sorted(found, key=lambda f: f.score.group):
        groups.setdefault(f.score.group, []).append(f)
    return {name: _means(some) for name, some in groups.items() if some}


def _means(found: list[Found]) -> dict[str, float]:
    clicks = [n for n in (1, 3, 5) if n in found[0].score.clicks]
    out = {
        f"{n} click{'s' * (n > 1)}": np.mean([f.score.clicks[n] for f in found])
        for n in clicks
    }
    out["box"] = np.mean([f.score.box for f in found])
    return {k: round(float(v), 3) for k, v in out.items()} | {"objects": len(found)}


def honesty(found: list[Found]) -> dict[str, float]:
    """How well scores fit: correlation with the IoU, expected calibration error."""
    said = np.array([v for f in found for v in f.said])
    true = np.array([v for f in found for v in f.true])
    first = np.array([f.said[0] for f in found]), np.array([f.true[0] for f in found])
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    error = sum(
        abs(said[bins == b].mean() - true[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    )
    return {
        "correlation": round(float(np.corrcoef(said, true)[0, 1]), 3),
        "of first clicks": round(float(np.corrcoef(*first)[0, 1]), 3),
        "calibration error": round(float(error), 3),
        "answers": len(said),
    }


def vote_scores(nano: Nano, exam: NanoExam, data: Path | None) -> dict[str, float]:
    """Mean IoU of plain votes: documented families, and particles where they are."""
    out = {"families": _votes(nano, _vote_scans(exam))}
    if data is not None and (data / "emps").is_dir():
        out["EMPS"] = _votes(nano, _particles(data / "emps", 4 * exam.votes))
    return out


def _vote_scans(exam: NanoExam) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for _, draw in sorted(FAMILIES.items()):
        for seed in range(exam.votes):
            drawn = draw(FRESH + 900 + seed)
            image = drawn.image.astype(np.float32)
            grey = image.mean(-1) if image.ndim > drawn.labels.ndim else image
            yield grey[:384, :384], drawn.labels[:384, :384]


def _particles(folder: Path, count: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    import imageio.v3 as iio

    for path in sorted((folder / "segmaps").iterdir())[:count]:
        (picture,) = (folder / "images").glob(f"{path.stem}.*")
        image = iio.imread(picture).astype(np.float32)
        image = image[..., :3].mean(-1) if image.ndim == 3 else image
        yield image[:768, :768], (iio.imread(path)[:768, :768] > 0) + 1


def _votes(nano: Nano, scans: Iterator[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    """Three strokes of 17 × 1 pixels for each class, one mean over the scans."""
    method, means = VoteMethod(nano), []
    for i, (image, truth) in enumerate(scans):
        rng, strokes = np.random.default_rng([3, i]), np.zeros(truth.shape, np.int64)
        for k in np.unique(truth[truth > 0]):
            at = np.argwhere(truth == k)
            for y, x in at[rng.integers(len(at), size=3 if len(at) >= 200 else 0)]:
                line = np.s_[y, max(0, x - 8) : x + 9]
                strokes[line][truth[line] == k] = k
        present = np.unique(strokes[strokes > 0])
        if len(present) < 2:
            continue
        made = method(image, strokes)
        known = np.isin(truth, present) & (strokes == 0)
        means.append(np.mean([_share(made == k, truth == k, known) for k in present]))
    return round(float(np.mean(means)), 4)


def _share(a: NDArray[Any], b: NDArray[Any], known: NDArray[Any]) -> float:
    return float((a & b & known).sum() / max(1, ((a | b) & known).sum()))


def compare_states(
    states: Mapping[str, Nano],
    size: str = "small",
    *,
    data: Path | None = None,
    rivals: bool = False,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """All numbers of all states on the same objects, ready for JSON."""
    exam = SIZES[size]
    found = examine_nano(states, exam, rivals=rivals, tell=tell)
    report: dict[str, Any] = {}
    for name, parts in found.items():
        report[name] = {part: rows_of(rows) for part, rows in parts.items()}
        if name in states:
            every = [f for rows in parts.values() for f in rows]
            report[name]["score"] = {"all": honesty(every)}
            votes = vote_scores(states[name], exam, data)
            report[name]["votes"] = {"mean IoU": votes}
    return report
