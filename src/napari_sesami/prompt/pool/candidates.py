"""Candidates: readings of the prompts in one window, from all witnesses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.prompt.pool import floods, joins
from napari_sesami.prompt.pool.morphology import box_mean, eroded, evened, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.pool.pictures import Pictures
    from napari_sesami.prompt.prompts import Prompt
    from napari_sesami.prompt.view import View

NET, NET_EDGE, JOIN, FLOOD, TOKEN, PRIOR, PLAIN = range(7)
SAME = 0.93  # overlap at which two candidates are one
MOST = 36
FADE, WEAK = 0.2, 0.2  # of the side of a view; of the other edges
LIKENESS = (0.08, 0.15, 0.25, 0.4, 0.55)  # 1 − cosine to the clicked tokens


@dataclass(frozen=True, eq=False)
class Witness:
    """What the net said on one view: logits (M, h4, w4), scores, likeness (h4, w4)."""

    view: View
    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    likeness: NDArray[np.float32] | None


@dataclass(eq=False)
class Candidate:
    """One reading in a window.

    Attributes
    ----------
    mask
        (h, w) of the window.
    source
        Who proposed it: `NET`, `NET_EDGE`, `JOIN`, `FLOOD`, `TOKEN`, `PRIOR`, or
        `PLAIN`: the net's whole plain answer, which is left as it is.
    said, steady
        The net's own score and steadiness, for its own candidates.
    witness, number
        Which map of which witness it was drawn from, or None.
    twins
        How many others are the same.
    tolerance
        Of a flood.
    grows, shrinks
        How the area of a flood changes with the next tolerance up, down (logarithm).
    seam
        Whether it ends where a view of the net ends.
    """

    mask: NDArray[np.bool_]
    source: int
    said: float = np.nan
    steady: float = np.nan
    witness: int | None = None
    number: int = 0
    twins: int = 0
    tolerance: float = np.nan
    grows: float = np.nan
    shrinks: float = np.nan
    seam: bool = False


@dataclass(eq=False)
class PromptScene:
    """A window with all that is known of it: the question to the pool.

    Attributes
    ----------
    pictures
        Of the window.
    on, off
        Pixels of the window that are clicked, (N, 2); `on` is never empty.
    limit
        Where a box allows the object, or None.
    maps
        The logits of each witness in the pixels of the window, with where it looked.
    likeness
        1 − cosine to the clicked tokens, in the pixels of the window, or None.
    prior
        The last answer, in the window.
    plane_shape
        Of the plane that the window is cut from.
    plain
        The net's plain answer, and what the window shows of it.
    """

    pictures: Pictures
    on: NDArray[Any]
    off: NDArray[Any]
    limit: NDArray[np.bool_] | None
    box: NDArray[Any] | None
    witnesses: list[Witness]
    maps: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = field(
        default_factory=list
    )
    likeness: NDArray[np.float32] | None = None
    prior: NDArray[np.bool_] | None = None
    plain: tuple[Mask, NDArray[np.bool_]] | None = None
    plane_shape: tuple[int, int] = (0, 0)

    @classmethod
    def of(
        cls,
        pictures: Pictures,
        prompt: Prompt,
        witnesses: list[Witness],
        plane_shape: tuple[int, int],
        plain: Mask | None = None,
    ) -> PromptScene:
        """Bring prompts and witnesses into the pixels of a window."""
        view, shape = pictures.view, pictures.grey.shape
        at, labels = prompt.clicks
        cells = to_pixels(at, view, shape)
        scene = cls(
            pictures,
            cells[labels == 1],
            cells[labels == 0],
            None,
            None,
            witnesses,
            plane_shape=plane_shape,
        )
        for witness in witnesses:
            rows, columns = (
                interpolation(view, witness.view, axis, shape[axis]) for axis in (0, 1)
            )
            known = np.outer(rows.any(1), columns.any(1))
            h, w = rows.shape[1], columns.shape[1]
            drawn = np.matmul(np.matmul(rows, witness.logits[:, :h, :w]), columns.T)
            scene.maps.append((np.where(known, drawn, np.float32(-8)), known))
            if witness.likeness is not None and scene.likeness is None:
                drawn = rows @ (1 - witness.likeness[:h, :w]) @ columns.T
                scene.likeness = np.where(known, drawn, np.float32(9))
        if prompt.box is not None:
            scene._set_box(prompt.box)
        if prompt.mask is not None:
            scene.prior = shrunk(prompt.mask, view, shape)
        if plain is not None:
            scene.plain = (plain, shrunk(plain, view, shape))
        if not len(scene.on):
            scene._imply_seed()
        return scene

    def _set_box(self, box: tuple[float, ...]) -> None:
        view, shape = self.pictures.view, self.pictures.grey.shape
        corners = (
            np.asarray(box, float) - np.tile(np.array(view.box[:2], float), 2)
        ) / view.shrink
        self.box = corners
        slack = 1.5 + 0.02 * np.tile(corners[2:] - corners[:2], 2)
        low = np.clip(np.floor(corners[:2] - slack[:2]), 0, None).astype(int)
        high = np.minimum(np.ceil(corners[2:] + slack[2:]).astype(int), shape)
        self.limit = np.zeros(shape, bool)
        self.limit[low[0] : high[0], low[1] : high[1]] = True

    def _imply_seed(self) -> None:
        """Where nothing was clicked, the net's surest pixel stands for a click."""
        maps = [m for drawn, _ in self.maps for m in drawn]
        within = self.limit if self.limit is not None else self.prior
        best = np.where(within, maps[0], -99) if within is not None else maps[0]
        if best.max() > 0 or self.box is None:
            seed = np.unravel_index(int(_blurred(best).argmax()), best.shape)
        else:
            middle = (self.box[:2] + self.box[2:]) / 2
            seed = tuple(np.clip(middle, 0, np.array(best.shape) - 1).astype(int))
        self.on = np.array([seed], int)

    def candidates(self) -> list[Candidate]:
        """All readings that obey the prompts without twins, the plain one first."""
        found = self.plain_one()
        for c in self._proposals():
            c.mask = self._obeying(c.mask)
            if not c.mask.any():
                continue
            if c.source in (NET, JOIN):
                c.seam = self._has_seam(c.mask)
            elif c.source == NET_EDGE and c.witness is not None:
                # its border has moved off the seam
                before = self.maps[c.witness][0][c.number] > 0
                c.seam = self._has_seam(self._obeying(before))
            found.append(c)
        return without_twins(found)

    def of_net(self) -> list[Candidate]:
        """The plain answer and the net's own masks: what is known before all else."""
        found = self.plain_one()
        for c in self._of_witnesses(alone=True):
            c.mask = self._obeying(c.mask)
            if c.mask.any():
                found.append(c)
        return without_twins(found)

    def plain_one(self) -> list[Candidate]:
        """The net's plain answer, if the window shows any of it."""
        if self.plain is None or not self.plain[1].any():
            return []
        whole, here = self.plain
        found = Candidate(here, PLAIN, float(whole.score), float(whole.stability))
        found.seam = self._has_seam(here)
        return [found]

    def _of_witnesses(self, alone: bool = False) -> Iterator[Candidate]:
        """The net's masks, and unless they are wanted alone what is drawn from them."""
        p = self.pictures
        one, _, kept = p.smoothed
        for i, ((drawn, known), w) in enumerate(
            zip(self.maps, self.witnesses, strict=True)
        ):
            order = np.argsort(-w.scores, kind="stable")
            for rank, j in enumerate(order):
                logits, said = drawn[j], float(w.scores[j])
                lax = int(np.count_nonzero(logits > -1))
                steady = int(np.count_nonzero(logits > 1)) / max(lax, 1)
                mask = logits > 0
                if not mask.any():
                    continue
                yield Candidate(mask, NET, said, steady, i, int(j))
                if alone:
                    continue
                edge = joins.to_local_edge(mask, one, p.noise)
                yield Candidate(edge, NET_EDGE, said, steady, i, int(j))
                if rank < 2:
                    for weight in (0.7, 2.0):
                        joined = joins.by_histograms(logits, known, kept, weight)
                        yield Candidate(evened(joined), JOIN, said, steady, i, int(j))

    def _proposals(self) -> Iterator[Candidate]:
        p = self.pictures
        one, two, kept = p.smoothed
        yield from self._of_witnesses()
        if self.prior is not None and self.prior.any():
            yield Candidate(self.prior, PRIOR)
        flooded = []
        for picture in (one, two, kept):
            far = floods.distance(picture, self.on, self.off)
            if self.limit is not None:
                far = np.where(self.limit, far, np.float32(9))
            last, steps = 0, floods.nested(far, self.on)
            areas = [int(np.count_nonzero(mask)) for _, mask in steps]
            change = [np.nan, *np.diff(np.log(areas)), np.nan]
            for i, (tolerance, mask) in enumerate(steps):
                area = areas[i]
                if area < 9 or area < 1.04 * last or area > 0.8 * mask.size:
                    continue
                last = area
                one_flood = Candidate(
                    evened(mask), FLOOD, tolerance=tolerance,
                    grows=float(change[i + 1]), shrinks=float(change[i]),
                )  # fmt: skip
                flooded.append(one_flood)
                if picture is not two and area > 400:
                    cut = floods.held(opened(mask, 1 if area < 4000 else 2), self.on)
                    if np.count_nonzero(cut) < 0.9 * area:
                        flooded.append(replace(one_flood, mask=cut))
        for c in without_twins(flooded):
            # a flood stops short of the middle of a soft edge
            edge = floods.held(joins.to_local_edge(c.mask, one, p.noise), self.on)
            both = np.count_nonzero(edge & c.mask)
            # else it is too thin to have sides
            if both >= 0.5 * np.count_nonzero(edge | c.mask) and self.obeys(edge):
                c.mask = edge
            yield c
        if self.likeness is not None:
            for tolerance in LIKENESS:
                mask = floods.held(self.likeness <= tolerance, self.on)
                if mask.any():
                    edge = joins.to_local_edge(mask, one, p.noise)
                    seam = self._has_seam(mask)
                    yield Candidate(edge, TOKEN, tolerance=tolerance, seam=seam)

    def obeys(self, mask: NDArray[np.bool_]) -> bool:
        """Whether a mask holds the clicks on, none off, and stays in the box."""
        on, off = mask[tuple(self.on.T)], mask[tuple(self.off.T)]
        outside = self.limit is not None and bool((mask & ~self.limit).any())
        return bool(on.all()) and not off.any() and not outside

    def _has_seam(self, mask: NDArray[np.bool_]) -> bool:
        """Whether at least half the width of a mask ends where a view of the net does.

        Where views end inside the window, pixels on both sides of the line differ; or
        the mask fades shortly before, where no edge is.
        """
        window, ends = self.pictures.view, 0
        for witness in self.witnesses:
            for axis, m in ((0, mask), (1, mask.T)):
                for side in (axis, axis + 2):
                    edge = witness.view.box[side] - window.box[axis]
                    line = round(edge / window.shrink)
                    if 2 < line < len(m) - 2:
                        steps = m[line - 2 : line + 2] != m[line - 3 : line + 1]
                        ends = max(ends, int(steps.sum(1).max()))
        border = mask & ~eroded(mask, 1)
        half = int(np.count_nonzero(mask)) / max(int(np.count_nonzero(border)), 1)
        return ends >= max(3, half) or self._fades(border) >= max(8, half)

    def _fades(self, border: NDArray[np.bool_]) -> int:
        """How much of a border has no edge where a view of the net comes to its end.

        There the net knows too little of the surroundings to go on.
        """
        p, window = self.pictures, self.pictures.view
        steep = p.ridge[border]
        if not len(steep):
            return 0
        # against the noise, and against most of its other edges
        weak = border & (p.ridge < max(p.noise, WEAK * float(np.quantile(steep, 0.75))))
        most = 0
        for witness in self.witnesses:
            box = witness.view.box
            for axis, m in ((0, weak), (1, weak.T)):
                reach = FADE * (box[axis + 2] - box[axis]) / window.shrink
                low, high = (
                    (box[side] - window.box[axis]) / window.shrink
                    for side in (axis, axis + 2)
                )
                whole = self.plane_shape[axis]
                if box[axis] > 0:
                    part = m[max(int(low), 0) : max(int(low + reach), 0)]
                    most = max(most, int(np.count_nonzero(part)))
                if box[axis + 2] < whole:
                    part = m[max(int(high - reach), 0) : max(int(high), 0)]
                    most = max(most, int(np.count_nonzero(part)))
        return most

    def _obeying(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Make a mask obey: connected to the clicks on, without the clicks off."""
        if self.limit is not None:
            mask = mask & self.limit
        if len(self.off) and mask[self.off[:, 0], self.off[:, 1]].any():
            mask = mask & self._own_basin()
        out = floods.held(mask, self.on)
        missing = ~out[self.on[:, 0], self.on[:, 1]]
        if missing.any() and out.any():
            out = out | self._around(self.on[missing])
            out[self.off[:, 0], self.off[:, 1]] = False
        return out

    def _own_basin(self) -> NDArray[np.bool_]:
        """What lies nearer to the clicks on than to those off, over edges."""
        if not hasattr(self, "_basin"):
            from skimage.segmentation import watershed

            markers = np.zeros(self.pictures.grey.shape, np.int32)
            for at, mark in ((self.off, 2), (self.on, 1)):
                markers[at[:, 0], at[:, 1]] = mark
            markers[self.off[:, 0], self.off[:, 1]] = 2
            # flat ground is shared by distance, edges are walls
            height = self.pictures.gradient + np.float32(0.2 * self.pictures.noise)
            self._basin = watershed(height, markers, compactness=1e-4) == 1
        return self._basin

    def _around(self, at: NDArray[Any]) -> NDArray[np.bool_]:
        """A small flood at clicks that a mask misses."""
        kept = self.pictures.smoothed[2]
        far = floods.distance(kept, at, self.off)
        tolerance = max(0.03, 2 * self.pictures.noise)
        mask = floods.held(far <= tolerance, at)
        if self.limit is not None:
            mask = mask & self.limit
        if len(self.off):
            mask = mask & self._own_basin()
        for y, x in at:
            mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = True
        return mask


def without_twins(found: list[Candidate]) -> list[Candidate]:
    """Keep the first of those that are the same, and say how many they were.

    The net's plain answer stays beside its twins.
    """
    if not found:
        return found
    overlap = overlaps(found)
    kept: list[int] = []
    for i in range(len(found)):
        alike = [k for k in kept if overlap[i, k] > SAME]
        same = [k for k in alike if found[k].source != PLAIN]
        for k in set(alike) - set(same):
            found[k].twins += 1
        if same:
            best = max(same, key=lambda k: overlap[i, k])
            found[best].twins += 1
        elif len(kept) < MOST:
            kept.append(i)
    return [found[i] for i in kept]


def overlaps(found: list[Candidate]) -> NDArray[np.float32]:
    """IoU of each with each, on every second pixel of large windows."""
    side = max(found[0].mask.shape)
    small = min(int(np.count_nonzero(c.mask)) for c in found)
    step = 2 if side > 128 and small > 600 else 1
    flat = np.stack([c.mask[::step, ::step].ravel() for c in found]).astype(np.float32)
    shared = flat @ flat.T
    area = np.diag(shared)
    return shared / np.maximum(area[:, None] + area[None] - shared, 1)


def to_pixels(at: NDArray[Any], view: View, shape: tuple[int, ...]) -> NDArray[Any]:
    """Data pixels (N, 2) to the pixels of a window they lie in."""
    corner = np.array(view.box[:2], float)
    found = np.floor((np.asarray(at, float) - corner + 0.5) / view.shrink).astype(int)
    return np.clip(found, 0, np.array(shape) - 1).reshape(-1, 2)


def interpolation(
    window: View, net: View, axis: int, count: int
) -> NDArray[np.float32]:
    """Weights (count, cells) that bring cells of a net's view to pixels of a window."""
    cells = net.cells[axis]
    at = (np.arange(count) + 0.5) * window.shrink + window.box[axis] - net.box[axis]
    out = np.zeros((count, cells), np.float32)
    inside = (at > 0) & (at < net.box[axis + 2] - net.box[axis])
    place = np.clip(at / net.cell - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    share = (place - low).astype(np.float32)
    rows = np.flatnonzero(inside)
    out[rows, low[rows]] = 1 - share[rows]
    out[rows, np.minimum(low[rows] + 1, cells - 1)] += share[rows]
    return out


def shrunk(mask: Mask, view: View, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask in the pixels of a window: where half of the pixel is inside."""
    seen = mask.window(view.box)
    n = view.shrink
    if n == 1:
        return seen
    padded = np.pad(seen, [(0, -s % n) for s in seen.shape]).view(np.uint8)
    rows = sum((padded[i::n] for i in range(1, n)), padded[::n].astype(np.uint16))
    cells = sum((rows[:, i::n] for i in range(1, n)), rows[:, ::n])
    return np.asarray(2 * cells.astype(np.int32) >= n * n)


def _blurred(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return box_mean(np.clip(logits, -4, 8), 9)
