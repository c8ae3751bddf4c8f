"""Learn the judge from questions, and say how well it chooses on scenes left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression

from napari_sesami.prompt import KINDS, JudgeTrees, beside, favourite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_sesami.lab.judge.questions import AskedPrompt

SETTINGS: dict[str, Any] = {
    "max_iter": 240,
    "learning_rate": 0.035,
    "max_leaf_nodes": 12,
    "min_samples_leaf": 40,
    "l2_regularization": 1.0,
    "max_features": 0.3,
    "early_stopping": False,
    "random_state": 0,
}
KNOTS = 16
ENOUGH = 0.72  # as in the solver
SLACK = (0.002, 0.012, 0.002)  # by kind, what a lean to the plain answer may cost
"""More at later clicks: each answer is what the next one goes on from."""
LEANS = (0.0, 0.02, 0.04, 0.06, 0.09, 0.13, 0.18, 0.25, 9.0)
FOLDS = (
    ("finfet", "hbm", "beol"),
    ("gaa", "wire", "nand_plan"),
    ("dram", "sem", "random", "nand_upright"),
    ("even",),
)
"""Kinds of scenes that are left out together."""
PARTS = 3  # of the seeds, each left out once


def grow(
    questions: Sequence[AskedPrompt], **changes: Any
) -> HistGradientBoostingRegressor:
    """Fit trees; each question counts the same however many candidates it has."""
    x = np.concatenate([q.numbers for q in questions])
    y = np.concatenate([q.overlap for q in questions])
    x[:, np.isnan(x).all(0)] = 0  # nothing to learn from
    weight = np.concatenate(
        [np.full(len(q.overlap), 1 / len(q.overlap)) for q in questions]
    )
    model = HistGradientBoostingRegressor(**{**SETTINGS, **changes})
    return model.fit(x, y, sample_weight=weight / weight.mean())


def by_family(questions: Sequence[AskedPrompt]) -> NDArray[np.intp]:
    """Number the part of each question: cousins among the families are together."""
    starts = [tuple(q.family.startswith(fold) for fold in FOLDS) for q in questions]
    return np.array([row.index(True) if any(row) else 0 for row in starts], np.intp)


def by_seed(questions: Sequence[AskedPrompt]) -> NDArray[np.intp]:
    """Number the part of each question: scenes of one seed are together."""
    seeds = [q.scene.rsplit("_", 1)[-1] for q in questions]
    return np.asarray(np.unique(seeds, return_inverse=True)[1] % PARTS, np.intp)


def left_out(
    questions: Sequence[AskedPrompt], parts: NDArray[np.intp], **changes: Any
) -> list[NDArray[np.float32]]:
    """Predict each question by trees that saw no question of its part."""
    out: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(questions)
    for part in np.unique(parts):
        mine = [int(i) for i in np.flatnonzero(parts == part)]
        rest = [q for q, p in zip(questions, parts, strict=True) if p != part]
        model = grow(rest, **changes)
        said = model.predict(np.concatenate([questions[i].numbers for i in mine]))
        ends = np.cumsum([len(questions[i].overlap) for i in mine])[:-1]
        for i, own in zip(mine, np.split(said, ends), strict=True):
            out[i] = own.astype(np.float32)
    return out


def choose(
    question: AskedPrompt,
    said: NDArray[np.float32],
    lean: float = 0.0,
    enough: float = ENOUGH,
) -> int:
    """Which candidate the solver takes: windows are opened until one says enough.

    What runs out of its window is not taken; `lean` prefers the net's plain answer.
    """
    worth = said - 2.0 * question.cut + lean * question.is_plain
    for step in np.unique(question.level):
        here = np.where(question.level <= step, worth, -99)
        best = int(np.argmax(here))
        own = np.where(question.level == step, said, -99)
        fits = not question.cut[int(np.argmax(own))]
        if fits and said[best] >= enough and not question.cut[best]:
            break
    return best


def all_beside(questions: Sequence[AskedPrompt]) -> list[AskedPrompt]:
    """Let candidates of each window be compared with each other."""
    out = []
    for q in questions:
        ends = np.flatnonzero(np.diff(q.level)) + 1
        parts = [beside(part) for part in np.split(q.numbers, ends)]
        out.append(replace(q, numbers=np.concatenate(parts)))
    return out


def firsts(questions: Sequence[AskedPrompt]) -> list[AskedPrompt]:
    """Ask only about the net's own masks, where the plain answer is whole in view."""
    return [
        replace(
            q, numbers=q.first, overlap=q.first_overlap,
            cut=np.zeros(len(q.first), bool), level=np.ones(len(q.first), int),
        )
        for q in questions
        if len(q.first)
    ]  # fmt: skip


def plain_overlap(question: AskedPrompt) -> float:
    """How well the net's plain answer is; 0 where no window showed it."""
    return float(question.overlap[question.is_plain].max(initial=0))


def preferences(
    questions: Sequence[AskedPrompt],
    said: Sequence[NDArray[np.float32]],
    early: dict[int, float],
    tell: Callable[[str], None],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Choose, by kind of prompt, the lean to the plain answer, and when it is sure.

    `early` is what was said of the plain answers before others were asked. The lean
    is the greatest within `SLACK` of the best mean over the size classes among those
    that leave no class of size below the plain answers; sure is the least that then
    loses less than 0.002 in every class.
    """
    lean, sure = (np.full(len(KINDS), 9, np.float32) for _ in range(2))
    sizes = ("thin", "middle", "large")
    for kind, name in enumerate(KINDS):
        mine = [i for i, q in enumerate(questions) if q.prompts == kind]
        if not mine:
            continue
        rows = {s: [i for i in mine if questions[i].size == s] for s in sizes}
        rows = {s: r for s, r in rows.items() if r}
        plain = {s: [plain_overlap(questions[i]) for i in r] for s, r in rows.items()}
        goal = {s: float(np.mean(p)) for s, p in plain.items()}

        def means(
            lean: float, sure: float, rows: dict[str, list[int]] = rows
        ) -> dict[str, float]:
            out = {}
            for size, some in rows.items():
                got = []
                for i in some:
                    q = questions[i]
                    if early.get(i, -9) >= sure:
                        got.append(plain_overlap(q))
                    else:
                        got.append(float(q.overlap[choose(q, said[i], lean)]))
                out[size] = float(np.mean(got))
            return out

        tried = {a: means(a, 9) for a in LEANS}
        for a, made in tried.items():
            cells = "  ".join(f"{s} {v:.3f} ({goal[s]:.3f})" for s, v in made.items())
            tell(f"{name}: lean {a:.2f}: {cells}")
        safe = {
            a: m for a, m in tried.items() if all(m[s] >= goal[s] for s in goal)
        } or {9.0: goal}
        best = max(np.mean(list(m.values())) for m in safe.values())
        lean[kind] = max(
            a
            for a, m in safe.items()
            if np.mean(list(m.values())) >= best - SLACK[kind]
        )
        reached = safe[float(max(a for a in safe if np.float32(a) == lean[kind]))]
        for limit in np.arange(0.3, 1.0, 0.02):
            made = means(float(lean[kind]), float(limit))
            if all(made[s] >= reached[s] - 0.002 for s in made):
                sure[kind] = limit
                break
        count = np.mean([early.get(i, -9) >= sure[kind] for i in mine])
        tell(
            f"{name}: lean {lean[kind]:.2f}, sure from {sure[kind]:.2f} "
            f"({count:.0%} of {len(mine)})"
        )
    return lean, sure


def own_preference(
    questions: Sequence[AskedPrompt],
    said: Sequence[NDArray[np.float32]],
    tell: Callable[[str], None],
) -> float:
    """Choose how far the net's favourite is preferred among its masks alone.

    The greatest lean within 0.002 of the best mean over clicks and boxes by size among
    those that leave none of these below the favourites (or that lose least).
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for i, q in enumerate(questions):
        groups.setdefault((q.kind, q.size), []).append(i)
    tops = [favourite(q.numbers) for q in questions]

    def means(lean: float) -> NDArray[np.float64]:
        out = []
        for rows in groups.values():
            got = []
            for i in rows:
                worth = said[i].copy()
                worth[tops[i]] += lean
                got.append(questions[i].overlap[int(np.argmax(worth))])
            out.append(np.mean(got))
        return np.array(out)

    made = {lean: means(lean) for lean in LEANS}
    for lean, row in made.items():
        cells = (f"{' '.join(k)} {v:.3f}" for k, v in zip(groups, row, strict=True))
        tell(f"net alone: lean {lean:.2f}: {'  '.join(cells)}")
    safe = {a: m.mean() for a, m in made.items() if (m >= made[9.0] - 0.001).all()}
    return max(a for a, m in safe.items() if m >= max(safe.values()) - 0.002)


def calibrate(
    said: NDArray[Any], true: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Line segments from what was said of the chosen ones to what they were."""
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, true)
    at = np.unique(np.quantile(said, np.linspace(0.01, 0.99, KNOTS)))
    # means of the isotonic steps around each knot: no flat stairs
    around = np.linspace(-0.05, 0.05, 21)
    level = fit.predict((at[:, None] + around).ravel()).reshape(-1, 21).mean(1)
    return at.astype(np.float32), np.maximum.accumulate(level).astype(np.float32)


def as_arrays(
    model: HistGradientBoostingRegressor, said: NDArray[Any], true: NDArray[Any]
) -> JudgeTrees:
    """Bring grown trees and their calibration into plain arrays."""
    nodes = [p[0].nodes for p in model._predictors]
    most = max(len(n) for n in nodes)
    shape = (len(nodes), most)
    feature, left, right = (np.zeros(shape, np.int16) for _ in range(3))
    threshold, value = (np.zeros(shape, np.float32) for _ in range(2))
    missing = np.zeros(shape, bool)
    for t, tree in enumerate(nodes):
        n, leaf = len(tree), tree["is_leaf"].astype(bool)
        own = np.arange(n)
        feature[t, :n] = np.where(leaf, 0, tree["feature_idx"])
        # features are float32: the cut is rounded down, so that none changes sides
        cut = tree["num_threshold"].astype(np.float32)
        high = cut.astype(np.float64) > tree["num_threshold"]
        threshold[t, :n] = np.where(high, np.nextafter(cut, np.float32(-np.inf)), cut)
        left[t, :n] = np.where(leaf, own, tree["left"])
        right[t, :n] = np.where(leaf, own, tree["right"])
        missing[t, :n] = tree["missing_go_to_left"].astype(bool)
        value[t, :n] = np.where(leaf, tree["value"], 0)
    base = float(np.ravel(model._baseline_prediction)[0])
    depth = max(int(n["depth"].max()) for n in nodes)
    return JudgeTrees(
        feature, threshold, left, right, value, missing, base, depth,
        *calibrate(said, true),
    )  # fmt: skip


def reliability(
    said: NDArray[Any], true: NDArray[Any], bins: int = 10
) -> tuple[float, float, list[tuple[float, float, int]]]:
    """Correlation, expected calibration error, and (mean said, mean true, count)."""
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(said, edges) - 1, 0, bins - 1)
    rows, error = [], 0.0
    for b in range(bins):
        here = place == b
        if here.any():
            rows.append(
                (float(said[here].mean()), float(true[here].mean()), int(here.sum()))
            )
            error += here.mean() * abs(said[here].mean() - true[here].mean())
    related = float(np.corrcoef(said, true)[0, 1]) if len(said) > 2 else float("nan")
    return related, float(error), rows
