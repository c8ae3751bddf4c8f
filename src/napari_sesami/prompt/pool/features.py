"""Cheap numbers of each candidate, from which the judge predicts its overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.box import box_of, grown, slices
from napari_sesami.prompt.pool.candidates import (
    NET,
    PLAIN,
    Candidate,
    PromptScene,
    overlaps,
)
from napari_sesami.prompt.pool.morphology import dilated, eroded

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = (
    "source", "said", "steady", "log area", "log share", "log shrink",
    "edge 10", "edge 25", "edge 50", "edge mean", "rough inside",
    "spread", "contrast", "separation", "spread of ring", "ring alike", "like click",
    "wiggle", "width", "fill of box", "straight", "on window", "on view",
    "depth", "relative depth", "off centre",
    "overlap mean", "overlap max", "overlap median", "overlap net", "overlap first",
    "twins", "count",
    "net inside", "net ring", "net soft overlap", "net best", "net agree",
    "token inside", "token low", "token ring",
    "noise", "clicks on", "clicks off", "boxed", "box overlap",
    "prior overlap", "prior growth", "tolerance",
    "grows", "shrinks", "said gap", "window contrast",
)  # fmt: skip
RANKED = (
    "edge 25", "separation", "net soft overlap", "overlap mean", "like click",
    "edge 10", "contrast", "net inside", "token inside", "spread", "said",
)  # fmt: skip
"""What is also ranked among the candidates of a window."""
COMPARED = (
    "log area", "edge 10", "edge 25", "separation", "contrast", "like click",
    "net soft overlap", "overlap mean", "spread", "wiggle", "said", "steady",
)  # fmt: skip
"""What is also compared with the net's plain answer."""
RIM = 3  # pixels of the ring around a candidate


def describe(
    scene: PromptScene, found: list[Candidate], area: int, rows: int | None = None
) -> NDArray[np.float32]:
    """Count `NAMES` for the candidates of a window, all or the first `rows` of them.

    `area` is that of the plane.
    """
    overlap = overlaps(found)
    net = [i for i, c in enumerate(found) if c.source in (NET, PLAIN)]
    maps = np.concatenate([m for m, _ in scene.maps]) if scene.maps else None
    soft = scores = None
    if maps is not None:
        scores = np.concatenate([w.scores for w in scene.witnesses])
        chance = 1 / (1 + np.exp(-np.clip(maps, -12, 12)))
        soft = np.average(chance, 0, weights=np.maximum(scores, 0.05) ** 2)
    p = scene.pictures
    contrast = float(p.smoothed[1].std()) / max(p.noise, 0.004)
    counted = []
    for i, c in enumerate(found[:rows]):
        rest = np.delete(overlap[i], i)
        best = max(net, key=lambda k: overlap[i, k]) if net else None
        own = _own_numbers(scene, c, soft)
        said, steady = c.said, c.steady
        if not np.isfinite(said) and best is not None:
            said, steady = found[best].said, found[best].steady
        nets = np.delete(net, net.index(i)) if i in net else np.array(net, int)
        counted.append({
            **own,
            "source": c.source, "said": said, "steady": steady,
            "log share": np.log10(own["area"] * scene.pictures.view.shrink**2 / area),
            "overlap mean": rest.mean() if len(rest) else np.nan,
            "overlap max": rest.max() if len(rest) else np.nan,
            "overlap median": np.median(rest) if len(rest) else np.nan,
            "overlap net": overlap[i, nets].max() if len(nets) else np.nan,
            "overlap first": overlap[i, net[0]] if net else np.nan,
            "twins": c.twins, "count": len(found),
            "net best": scores.max() if scores is not None else np.nan,
            "net agree": overlap[net[0], net[1]] if len(net) > 1 else np.nan,
            "grows": c.grows, "shrinks": c.shrinks,
            "said gap": said - scores.max() if scores is not None else np.nan,
            "window contrast": contrast,
            "tolerance": np.log(c.tolerance / scene.pictures.noise)
            if np.isfinite(c.tolerance) else np.nan,
        })  # fmt: skip
    return np.array([[row[name] for name in NAMES] for row in counted], np.float32)


def beside(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add to the numbers of a window's candidates how these stand among each other.

    Ranks from 0 to 1 of `RANKED`, and the differences of `COMPARED` to those of the
    plain answer, where the window shows it.
    """
    count = len(numbers)
    ranked = numbers[:, [NAMES.index(name) for name in RANKED]]
    order = np.argsort(np.nan_to_num(ranked, nan=-1), axis=0, kind="stable")
    ranks = np.empty(ranked.shape, np.float32)
    steps = np.arange(count, dtype=np.float32)[:, None] / max(count - 1, 1)
    np.put_along_axis(ranks, order, np.broadcast_to(steps, ranks.shape), 0)
    compared = numbers[:, [NAMES.index(name) for name in COMPARED]]
    plain = np.flatnonzero(numbers[:, NAMES.index("source")] == PLAIN)
    if len(plain):
        apart = compared - compared[plain[0]]
    else:
        apart = np.full_like(compared, np.nan)
    return np.concatenate([numbers, ranks, apart], 1)


def _own_numbers(
    scene: PromptScene, c: Candidate, soft: NDArray[Any] | None
) -> dict[str, float]:
    p, whole = scene.pictures, c.mask.shape
    tight = box_of(c.mask)
    assert tight is not None
    cut = slices(grown(tight, RIM + 1, whole))
    m = c.mask[cut]
    ring = dilated(m, RIM) & ~m
    core = eroded(m, 1)
    border = m & ~core
    one, two = p.smoothed[0][cut], p.smoothed[1][cut]
    noise = max(p.noise, 0.004)
    area, rim = int(np.count_nonzero(m)), int(np.count_nonzero(border))
    steep = np.sort(p.ridge[cut][border] / noise, kind="stable")
    # a few thousand pixels say as much as all of them
    some = np.flatnonzero(m)[:: max(area // 3000, 1)]
    inside, outside = one.ravel()[some], one[ring]
    wide_in, wide_out = two.ravel()[some], two[ring]
    mean_in, mean_out = float(inside.mean()), _mean(outside)
    ordered = np.sort(wide_in)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    ys, xs = np.nonzero(border)
    ys, xs = ys + cut[0].start, xs + cut[1].start
    click = scene.on[0]
    depth = (
        float(np.sqrt(((ys - click[0]) ** 2 + (xs - click[1]) ** 2).min()))
        if rim
        else 0
    )
    width = 2 * area / max(rim, 1)
    my, mx = np.unravel_index(some, m.shape)
    centre = np.array([my.mean() + cut[0].start, mx.mean() + cut[1].start])
    lines = max(np.bincount(ys).max(), np.bincount(xs).max()) if rim else 0
    h, w = whole
    at_edge = int(((ys == 0) | (ys == h - 1) | (xs == 0) | (xs == w - 1)).sum())
    grey = np.median(p.smoothed[2][scene.on[:, 0], scene.on[:, 1]])
    kept = p.smoothed[2][cut].ravel()[some]
    wide = np.nan if not len(outside) else float(outside.std())
    apart = abs(mean_in - mean_out)
    out = {
        "area": area,
        "log area": np.log2(area * p.view.shrink**2),
        "log shrink": np.log2(p.view.shrink),
        "edge 10": steep[rim // 10] if rim else 0,
        "edge 25": steep[rim // 4] if rim else 0,
        "edge 50": steep[rim // 2] if rim else 0,
        "edge mean": float(steep.mean()) if rim else 0,
        "rough inside": _mean(p.gradient[cut][core]) / noise,
        "spread": float(inside.std()) / noise,
        "contrast": apart / noise,
        "separation": apart / (float(inside.std()) + wide + 0.3 * noise),
        "spread of ring": wide / noise,
        "ring alike": _mean((wide_out >= low) & (wide_out <= high)),
        "like click": float((np.abs(kept - grey) < max(3 * noise, 0.04)).mean()),
        "wiggle": rim / np.sqrt(area),
        "width": width,
        "fill of box": area / ((tight[2] - tight[0]) * (tight[3] - tight[1])),
        "straight": lines / max(rim, 1),
        "on window": at_edge / max(rim, 1),
        "on view": share_on_views(scene, ys, xs),
        "depth": depth,
        "relative depth": depth / width,
        "off centre": float(np.linalg.norm(centre - click)) / np.sqrt(area),
        "net inside": np.nan, "net ring": np.nan, "net soft overlap": np.nan,
        "token inside": np.nan, "token low": np.nan, "token ring": np.nan,
        "noise": p.noise,
        "clicks on": min(len(scene.on), 6),
        "clicks off": min(len(scene.off), 6),
        "boxed": float(scene.box is not None),
        "box overlap": np.nan,
        "prior overlap": np.nan, "prior growth": np.nan,
    }  # fmt: skip
    if soft is not None:
        here = soft[cut]
        shared = float(here[m].sum())
        out["net inside"] = shared / area
        out["net ring"] = _mean(here[ring])
        out["net soft overlap"] = shared / max(float(soft.sum()) + area - shared, 1)
    if scene.likeness is not None:
        unlike = scene.likeness[cut]
        own = unlike.ravel()[some]
        own = own[own < 3]
        if len(own):
            out["token inside"] = float(own.mean())
            out["token low"] = float(np.quantile(own, 0.9))
        out["token ring"] = _mean(np.minimum(unlike[ring], 1.5))
    if scene.box is not None:
        out["box overlap"] = _box_overlap(np.array(tight, float), scene.box)
    if scene.prior is not None and scene.prior.any():
        shared = int(np.count_nonzero(scene.prior[cut] & m))
        before = int(np.count_nonzero(scene.prior))
        out["prior overlap"] = shared / (area + before - shared)
        out["prior growth"] = float(np.log(area / before))
    return out


def share_on_views(scene: PromptScene, ys: NDArray[Any], xs: NDArray[Any]) -> float:
    """Share of border pixels where a view of the net ends inside the window."""
    if not len(ys):
        return 0.0
    view, shape = scene.pictures.view, scene.pictures.grey.shape
    on = np.zeros(len(ys), bool)
    for witness in scene.witnesses:
        for axis, at in ((0, ys), (1, xs)):
            for side in (axis, axis + 2):
                line = (witness.view.box[side] - view.box[axis]) / view.shrink
                if 2 < line < shape[axis] - 2:
                    on |= np.abs(at + 0.5 - line) <= 1.5
    return float(on.mean())


def _box_overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    either = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / max(either, 1e-6)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else np.nan
