"""A model of defects: a head for each view, their averaged answers, and novelty."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_sesami.classify.decide import Threshold, thresholds
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.head import (
    LinearHead,
    best_temperature,
    fit_head,
    probabilities,
)
from napari_sesami.classify.pooling import trust_of
from napari_sesami.common.checked import checked, read_arrays
from napari_sesami.common.disk import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.classify.head import Floats, Whole

STEPS = 5
"""Weights of views are tried in fifths."""
DIRECTIONS = 64
"""Of the features, in which novelty and likeness are measured."""
ORDINARY = 0.98
"""Share of labelled defects that count as known when their own lot is left out."""
LEAST_KNOWN = 10
"""Labels from which novelty is told."""
FORMAT = "sesami-defects-1"


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is taken off features and divided by: the lot's mean and deviation."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def of(cls, features: NDArray[np.float32], view: str = "") -> Scaling:
        """Find it on all defects that have the view, labelled or not."""
        there = features[np.isfinite(features).all(1)].astype(np.float64)
        scale = there.std(0)
        typical = float(np.median(scale)) or 1.0
        # what hardly varies must not be blown up
        scale = np.maximum(scale, 0.1 * typical)
        if view:
            scale = scale / trust_of(view, len(scale))
        return cls(there.mean(0).astype(np.float32), scale.astype(np.float32))

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise; rows that are missing stay NaN."""
        return (features - self.mean) / self.scale


@dataclass(frozen=True, eq=False)
class ViewHead:
    """The head of one view."""

    scaling: Scaling
    head: LinearHead
    temperature: float


@dataclass(frozen=True, eq=False)
class Space:
    """Directions in which defects of a view are compared with each other."""

    view: str
    scaling: Scaling
    directions: NDArray[np.float32]

    @classmethod
    def of(cls, view: str, features: NDArray[np.float32]) -> Space:
        """Take the directions in which a lot varies most."""
        scaling = Scaling.of(features, view)
        there = scaling.apply(features[np.isfinite(features).all(1)])
        _, vectors = np.linalg.eigh((there.T @ there).astype(np.float64))
        kept = vectors[:, ::-1][:, :DIRECTIONS]
        return cls(view, scaling, np.ascontiguousarray(kept, np.float32))

    def places(
        self, features: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Give the place of each defect; NaN where the view is missing."""
        return self.scaling.apply(features[self.view]) @ self.directions


def distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give Euclidean distances (len(a), len(b)) of places."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0))


class ModelCard(BaseModel):
    """What a model file says in words."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: str
    classes: list[str]
    numbers: list[int | None]
    definitions: list[str]
    encoder: str
    encoder_key: str
    features: str
    views: list[str]
    heads: list[str]
    lots: list[str]
    made: str
    version: str
    brings_encoder: bool = False


@dataclass(frozen=True, eq=False)
class DefectModel:
    """Answers for defects from their features.

    Attributes
    ----------
    classes
        Names, in the order of the probabilities.
    views
        Per view its head.
    weights
        Of the views, summing to one.
    temperature
        Of the averaged answers.
    held, labels
        Probabilities of the labelled defects, each without its own lot, and the
        class of each: thresholds for any purity follow from them.
    held_novelty
        Novelty of each labelled defect against those of other groups.
    space, known, limit
        Where the labelled defects lie, and the distance from which one is novel.
    judged
        Which of the rows that the model was fitted on `held` tells of.
    """

    classes: tuple[str, ...]
    views: dict[str, ViewHead]
    weights: dict[str, float]
    temperature: float
    held: Floats
    labels: Whole
    held_novelty: NDArray[np.float64]
    space: Space
    known: NDArray[np.float32]
    limit: float
    judged: Whole | None = None

    def scores(self, features: Mapping[str, NDArray[np.float32]]) -> Floats:
        """Average the views' log-probabilities; a missing view leaves its weight."""
        parts = {
            view: _log_answers(part, features[view])
            for view, part in self.views.items()
            if view in features
        }
        return _averaged(parts, self.weights, len(next(iter(features.values()))))

    def probabilities(self, features: Mapping[str, NDArray[np.float32]]) -> Floats:
        """Give (defects, classes); NaN rows where no view could be read."""
        return probabilities(self.scores(features), self.temperature)

    def novelty(self, places: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give how unlike all labelled defects each is; 1 and above is unknown.

        `places` are those that `space` gives.
        """
        if not np.isfinite(self.limit) or not len(self.known):
            return np.zeros(len(places))
        near = np.concatenate(
            [distances(p, self.known).min(1) for p in _slices(places)]
        )
        return np.nan_to_num(near.astype(np.float64) / self.limit, nan=0.0)

    def thresholds(self, purity: float) -> list[Threshold]:
        """Choose thresholds for a wished purity on the held-out answers."""
        return thresholds(self.held, self.labels, self.held_novelty >= 1, purity)


def _slices(rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[k : k + 4096] for k in range(0, len(rows), 4096)] or [rows]


def fit_model(
    features: Mapping[str, NDArray[np.float32]],
    scalings: Mapping[str, Scaling],
    space: Space,
    rows: Whole,
    labels: Whole,
    classes: Sequence[str],
    groups: Whole,
    judges: NDArray[np.bool_] | None = None,
) -> DefectModel:
    """Fit heads, weights of the views, temperature and the limit of novelty.

    Parameters
    ----------
    features
        Per view (defects, numbers) of the whole lot.
    scalings, space
        Of the lot; they do not depend on labels.
    rows
        Positions of the labelled defects.
    labels
        Class of each, 0 …
    classes
        At least two names, each with a label.
    groups
        Per labelled defect what is held out together.
    judges
        Labelled defects whose held-out answers choose penalty, weights, temperature
        and thresholds; None takes all. An encoder's own examples must not judge it.

    Raises
    ------
    ClassifyError
        Fewer than two classes are labelled, no labelled defect could be read, or none
        may judge.
    """
    judging = np.ones(len(rows), bool) if judges is None else judges
    if not judging.any():
        raise ClassifyError(
            "This encoder was tuned on all of these labels, so none can judge it; "
            "label others, or choose the encoder that it was tuned from."
        )
    if len(classes) < 2:
        raise ClassifyError(
            "Defects of one class alone cannot be told apart; label a second class."
        )
    parts, held = {}, {}
    for view, numbers in features.items():
        there = np.isfinite(numbers[rows]).all(1)
        if set(labels[there]) != set(range(len(classes))):
            continue  # a class has no example in this view
        x = scalings[view].apply(numbers[rows[there]])
        asked = judging[there] if judging[there].any() else np.ones(there.sum(), bool)
        head, scores = fit_head(
            x, labels[there], len(classes), groups[there],
            None if asked.all() else asked,
        )  # fmt: skip
        temperature, _ = best_temperature(scores[asked], labels[there][asked])
        parts[view] = ViewHead(scalings[view], head, temperature)
        full = np.full((len(rows), len(classes)), np.nan)
        full[there] = np.log(probabilities(scores, temperature) + 1e-12)
        held[view] = full
    if not parts:
        raise ClassifyError(
            "A class has no labelled defect whose picture can be read; label another."
        )
    weights, temperature = _weights(
        {v: answers[judging] for v, answers in held.items()}, labels[judging]
    )
    averaged = _averaged(held, weights, len(rows))
    answers = probabilities(averaged, temperature)
    good = np.isfinite(answers).all(1)
    known = space.places({space.view: features[space.view][rows]})
    known, own, judging = known[good], groups[good], judging[good]
    near = np.full(len(known), np.inf)
    for group in np.unique(own):
        mine = own == group
        if not mine.all():
            near[mine] = distances(known[mine], known[~mine]).min(1)
    told = near[np.isfinite(near) & judging]
    limit = (
        float(np.quantile(told, ORDINARY)) if len(told) >= LEAST_KNOWN else float("inf")
    )
    there = np.isfinite(known).all(1)
    return DefectModel(
        tuple(classes), parts, weights, temperature, answers[good][judging],
        labels[good][judging],
        np.nan_to_num(near[judging] / limit, nan=0.0, posinf=np.inf), space,
        known[there], limit, np.flatnonzero(good)[judging],
    )  # fmt: skip


def _log_answers(part: ViewHead, features: NDArray[np.float32]) -> Floats:
    head = part.head.on_raw(part.scaling.mean, part.scaling.scale)
    scores = head.scores(features)
    return np.log(probabilities(scores, part.temperature) + 1e-12)


def _averaged(
    parts: Mapping[str, Floats], weights: Mapping[str, float], n: int
) -> Floats:
    """Average over the views that a defect has, NaN where it has none."""
    total = np.zeros((n, next(iter(parts.values())).shape[1]))
    shares = np.zeros(n)
    for view, answers in parts.items():
        there = np.isfinite(answers).all(1)
        share = max(weights.get(view, 0.0), 1e-6)  # used where others are missing
        total[there] += share * answers[there]
        shares[there] += share
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(shares[:, None] > 0, total / shares[:, None], np.nan)


def _weights(
    held: Mapping[str, Floats], labels: Whole
) -> tuple[dict[str, float], float]:
    """Choose weights of the views by their averaged held-out answers."""
    names = list(held)
    best: tuple[float, dict[str, float], float] | None = None
    for steps in itertools.product(range(STEPS + 1), repeat=len(names)):
        if sum(steps) != STEPS:
            continue
        weights = {n: s / STEPS for n, s in zip(names, steps, strict=True)}
        averaged = _averaged(held, weights, len(labels))
        good = np.isfinite(averaged).all(1)
        temperature, loss = best_temperature(averaged[good], labels[good])
        if best is None or loss < best[0] - 1e-9:
            best = loss, weights, temperature
    assert best is not None
    return best[1], best[2]


def save_model(
    model: DefectModel, path: Path, card: ModelCard, encoder: bytes = b""
) -> Path:
    """Write a model: arrays and a card, one file, with the weights of its encoder.

    `encoder` is empty for encoders that everybody has.
    """
    arrays: dict[str, NDArray[Any]] = {
        "card": np.frombuffer(card.model_dump_json().encode(), np.uint8),
        "temperature": np.array(model.temperature),
        "held": model.held,
        "labels": model.labels,
        "held_novelty": np.nan_to_num(model.held_novelty, posinf=1e30),
        "known": model.known,
        "limit": np.array(model.limit if np.isfinite(model.limit) else 0.0),
        "directions": model.space.directions,
        "space_mean": model.space.scaling.mean,
        "space_scale": model.space.scaling.scale,
        "space_view": np.array(card.views.index(model.space.view)),
    }
    if encoder:
        arrays["encoder"] = np.frombuffer(encoder, np.uint8)
    for k, view in enumerate(card.views):
        part = model.views.get(view)
        arrays[f"weight_{k}"] = np.array(model.weights.get(view, 0.0))
        if part is None:
            continue
        arrays[f"mean_{k}"], arrays[f"scale_{k}"] = (
            part.scaling.mean,
            part.scaling.scale,
        )
        arrays[f"head_{k}"], arrays[f"bias_{k}"] = part.head.weights, part.head.bias
        arrays[f"temperature_{k}"] = np.array(part.temperature)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return path


def encoder_in(path: Path, card: ModelCard) -> bytes:
    """Give the weights of the encoder that a model file holds; empty if it has none."""
    if not card.brings_encoder:
        return b""
    found = read_arrays(path, {"encoder": (None, "u")}, ClassifyError, most=2**31)
    return found["encoder"].tobytes()


def load_model(path: Path) -> tuple[DefectModel, ModelCard]:
    """Read what `save_model` wrote.

    Raises
    ------
    ClassifyError
        It is missing, damaged or something else.
    """
    if not path.is_file():
        raise ClassifyError(
            f"There is no model {path}; make one: sesami classify train."
        )
    raw = read_arrays(path, {"card": (None, "u")}, ClassifyError, most=2**24)["card"]
    card: ModelCard = checked(ModelCard, raw.tobytes(), str(path), ClassifyError)
    if card.format != FORMAT or not card.views or len(card.classes) < 2:
        raise ClassifyError(f"{path} is no model of defects, or of a later version.")
    n, views = len(card.classes), [v for v in card.views if v in card.heads]
    wanted: dict[str, tuple[tuple[int, ...] | None, str]] = dict.fromkeys(
        (
            "held", "labels", "held_novelty", "known", "directions", "space_mean",
            "space_scale",
        ),
        (None, "fiu"),
    )  # fmt: skip
    wanted |= dict.fromkeys(("temperature", "limit", "space_view"), ((), "fiu"))
    for k, view in enumerate(card.views):
        wanted[f"weight_{k}"] = ((), "f")
        if view in views:
            wanted |= {f"{part}_{k}": (None, "f") for part in ("mean", "scale", "head")}
            wanted |= {f"bias_{k}": ((n,), "f"), f"temperature_{k}": ((), "f")}
    a = read_arrays(path, wanted, ClassifyError, most=2**30)
    m = len(a["labels"])
    fits = a["held"].shape == (m, n) and a["held_novelty"].shape == (m,)
    fits &= a["known"].shape[1:] == a["directions"].shape[1:]
    fits &= a["directions"].shape[:1] == a["space_mean"].shape == a["space_scale"].shape
    fits &= bool(m == 0 or 0 <= a["labels"].min() <= a["labels"].max() < n)
    fits &= 0 <= int(a["space_view"]) < len(card.views) and bool(views)
    fits &= all(np.isfinite(v).all() for v in a.values())
    for k, view in enumerate(card.views):
        if view in views:
            d = a[f"mean_{k}"].shape
            fits &= a[f"scale_{k}"].shape == d and a[f"head_{k}"].shape == (*d, n)
            fits &= bool((a[f"scale_{k}"] > 0).all() and a[f"temperature_{k}"] > 0)
    if not fits:
        raise ClassifyError(f"{path} is damaged: its parts do not fit; train it again.")
    heads, weights = {}, {}
    for k, view in enumerate(card.views):
        weights[view] = float(a[f"weight_{k}"])
        if view in views:
            heads[view] = ViewHead(
                Scaling(a[f"mean_{k}"], a[f"scale_{k}"]),
                LinearHead(a[f"head_{k}"], a[f"bias_{k}"], "ridge"),
                float(a[f"temperature_{k}"]),
            )
    space = Space(
        card.views[int(a["space_view"])],
        Scaling(a["space_mean"], a["space_scale"]), a["directions"],
    )  # fmt: skip
    limit = float(a["limit"]) or float("inf")
    model = DefectModel(
        tuple(card.classes), heads, weights, float(a["temperature"]), a["held"],
        a["labels"], a["held_novelty"], space, a["known"], limit,
    )  # fmt: skip
    return model, card
