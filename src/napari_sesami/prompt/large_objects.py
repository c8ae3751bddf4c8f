"""Objects larger than a view: look again from elsewhere or afar, or follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.common.box import intersect
from napari_sesami.common.cancel import check_cancelled
from napari_sesami.prompt.mask import Mask, tighten, union
from napari_sesami.prompt.render import touched
from napari_sesami.prompt.view import MARGIN, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.prompt.on_view import PromptOnView

SMALL = 2000  # data pixels: objects below are seen better enlarged
SLACK = 0.05  # predicted overlap that the enlarged answer may lack
THICK = 16  # view pixels across that an object needs to be seen well from afar
AGREE = 0.6  # overlap at which two views speak of the same object
MOST_VIEWS = 24  # further views for one object: bounds the time of a click
FITS = 0.6  # part of a view's side that an object may fill after centring


Place = tuple[float, float]


class LargeObjectSolver:
    """Solves a task, and goes on where the object runs out of the view.

    A small object is seen again in a view centred on it, a thick one from farther away
    (with the fine detail kept around the prompts), a thin one is followed from view to
    view at native resolution.
    """

    def __init__(self, task: PromptOnView) -> None:
        self.task = task
        self.left = MOST_VIEWS

    def solve(self) -> Mask:
        """The whole object."""
        task = self.task
        if self.is_long_stroke():
            return self._along_strokes()
        view = task.first_view()
        found = task.solve(view)[0]
        if not self._goes_on(found, view):
            return self._closer(found, view)
        fine, fine_view = self._centred(found, view)
        if not self._goes_on(fine, fine_view):
            return fine
        coarse = self._from_afar(fine, fine_view)
        if coarse is not None and self._agree(fine, coarse, fine_view):
            return self._with_detail(fine, coarse, fine_view)
        return self._follow([(fine, fine_view)])

    def _closer(self, found: Mask, view: View) -> Mask:
        """Look again, enlarged, at a small object, if the model gains by that."""
        task = self.task
        wanted = getattr(task.predictor.model, "closer", False)
        if not wanted or found.empty or (view.shrink, view.grow) != (1, 1):
            return found
        y0, x0, y1, x1 = found.bbox
        close = task.views.close(((y0 + y1) / 2, (x0 + x1) / 2))
        extents = (found.bbox, task.prompt.extent)
        if np.count_nonzero(found.mask) >= SMALL or not all(
            close.holds(extent, task.shape) for extent in extents
        ):
            return found
        check_cancelled()
        again = task.solve(close)[0]
        worse = again.empty or again.score < found.score - SLACK
        return found if worse or self._goes_on(again, close) else again

    def _goes_on(self, mask: Mask, view: View) -> bool:
        return any(touched(mask, view, self.task.shape))

    def _centred(self, mask: Mask, view: View) -> tuple[Mask, View]:
        """Look again with the object in the middle, if it could fit there."""
        task = self.task
        y0, x0, y1, x1 = mask.bbox
        side = task.predictor.model.tile * view.shrink
        if max(y1 - y0, x1 - x0) > FITS * side:
            return mask, view
        middle = ((y0 + y1) / 2, (x0 + x1) / 2)
        again = task.views.at(middle, view.shrink, fine=True)
        if again == view or not again.holds(task.prompt.extent, task.shape):
            return mask, view
        check_cancelled()
        return task.solve(again)[0], again

    def _thickness(self, mask: Mask, view: View) -> float:
        """Width of the thickest part, in data pixels."""
        step = max(int(view.cell), 1)
        depth: Any = ndimage.distance_transform_edt(
            np.pad(mask.mask[::step, ::step], 1)
        )
        return 2 * step * float(depth.max())

    def _from_afar(self, mask: Mask, view: View) -> Mask | None:
        """Look from farther away, as long as the object is still thick enough there."""
        task, found = self.task, None
        limit = self._thickness(mask, view) / THICK
        shrink, tile = view.shrink, task.predictor.model.tile
        while max(task.shape) > tile * shrink and 2 * shrink <= limit and self._asks():
            shrink *= 2
            check_cancelled()
            far = task.views.around(task.prompt.anchor, task.prompt.extent, shrink)
            found = task.with_prompt(mask=None).solve(far)[0]
            if found.empty or not self._goes_on(found, far):
                return found
        return None if found is None else self._follow([(found, far)])

    def _asks(self) -> bool:
        """Whether something is left to ask with when the mask is put aside."""
        return bool(len(self.task.prompt.positive)) or self.task.prompt.box is not None

    def _core(self, view: View) -> tuple[int, int, int, int]:
        """The view without its rim, where it knows too little of the surroundings."""
        y0, x0, y1, x1 = view.box
        rim = [n // (MARGIN // 2) for n in (y1 - y0, x1 - x0)]
        top, left, bottom, right = view.inner_sides(self.task.shape)
        return (
            y0 + top * rim[0],
            x0 + left * rim[1],
            y1 - bottom * rim[0],
            x1 - right * rim[1],
        )

    def _agree(self, one: Mask, other: Mask, view: View) -> bool:
        core = self._core(view)
        a, b = one.window(core), other.window(core)
        either = np.count_nonzero(a | b)
        return bool(either and np.count_nonzero(a & b) >= AGREE * either)

    def _with_detail(self, fine: Mask, coarse: Mask, view: View) -> Mask:
        """Put the fine mask's core into the coarse mask."""
        core = self._core(view)
        y0, x0, y1, x1 = (
            min(coarse.bbox[0], core[0]),
            min(coarse.bbox[1], core[1]),
            max(coarse.bbox[2], core[2]),
            max(coarse.bbox[3], core[3]),
        )
        whole = coarse.window((y0, x0, y1, x1))
        whole[core[0] - y0 : core[2] - y0, core[1] - x0 : core[3] - x0] = fine.window(
            core
        )
        return _cut(whole, (y0, x0), coarse)

    def _follow(self, waiting: list[tuple[Mask, View]]) -> Mask:
        """Go on into the neighbouring views as long as they see the same object."""
        parts = [mask for mask, _ in waiting]
        seen = {view for _, view in waiting}
        while waiting:
            part, here = waiting.pop(0)
            for there, crossing in self._next_views(part, here):
                known = any(self._looks_at(view, crossing) for view in seen)
                if known or there in seen or not self.left:
                    continue
                seen.add(there)
                self.left -= 1
                check_cancelled()
                further = self._continued(union(parts), there)
                if further is not None:
                    parts.append(further)
                    waiting.append((further, there))
        return union(parts)

    def _next_views(self, mask: Mask, view: View) -> list[tuple[View, Place]]:
        """Views farther on, three eighths shared, and where the mask crosses into."""
        y0, x0, y1, x1 = view.box
        on = self.task.predictor.model.tile * view.shrink * 5 // 8
        rim = max(round(view.cell), 1)
        strips = (
            (y0, x0, y0 + rim, x1),
            (y0, x0, y1, x0 + rim),
            (y1 - rim, x0, y1, x1),
            (y0, x1 - rim, y1, x1),
        )
        steps = ((-on, 0), (0, -on), (on, 0), (0, on))
        found = []
        for out, strip, (dy, dx) in zip(
            touched(mask, view, self.task.shape), strips, steps, strict=True
        ):
            crossing = np.argwhere(mask.window(strip)) if out else np.zeros((0, 2))
            if len(crossing):
                y, x = (float(v) for v in crossing.mean(0) + strip[:2])
                up, along = (y0 + y1) / 2 + dy, (x0 + x1) / 2 + dx
                middle = (y, along) if dx else (up, x)
                there = self.task.views.at(middle, view.shrink, fine=True)
                found.append((there, (y, x)))
        return found

    def _looks_at(self, view: View, place: Place) -> bool:
        """Whether a view sees a place with enough of its surroundings."""
        y0, x0, y1, x1 = self._core(view)
        return y0 <= place[0] < y1 and x0 <= place[1] < x1

    def _continued(self, known: Mask, view: View) -> Mask | None:
        """What a view sees of the object, from clicks in the part that is known."""
        places = _spread(known, view)
        if not len(places):
            return None
        off = self._clicks_off(view)
        at = np.concatenate([off, places])
        labels = np.concatenate([np.zeros(len(off), int), np.ones(len(places), int)])
        task = self.task.with_prompt(
            points=at, labels=labels, strokes=(), box=None, mask=None
        )
        task.multimask = False
        found = task.solve(view)[0]
        shared = intersect(known.bbox, self._core(view))
        if found.empty or shared[0] >= shared[2] or shared[1] >= shared[3]:
            return None
        a, b = known.window(shared), found.window(shared)
        # the known part must be found again; beyond it the object may go on
        again = int(np.count_nonzero(a & b))
        return found if again >= AGREE * max(int(np.count_nonzero(a)), 1) else None

    def _clicks_off(self, view: View) -> NDArray[Any]:
        at, labels = self.task.prompt.clicks
        y0, x0, y1, x1 = view.box
        inside = (at >= (y0, x0)).all(1) & (at < (y1, x1)).all(1)
        return at[inside & (labels == 0)]

    def is_long_stroke(self) -> bool:
        """Strokes that no view at native resolution holds, and nothing else."""
        prompt = self.task.prompt
        if not prompt.strokes or prompt.box is not None or prompt.mask is not None:
            return False
        return self.task.first_view().shrink > 1

    def _along_strokes(self) -> Mask:
        """Answer piece by piece along the strokes, at native resolution."""
        task, side = self.task, self.task.predictor.model.tile
        spots = np.concatenate(
            [s.points(10_000, side / 8) for s in task.prompt.strokes]
        )
        marks = np.concatenate(
            [
                np.full(len(s.points(10_000, side / 8)), s.label)
                for s in task.prompt.strokes
            ]
        )
        at = np.concatenate([spots, task.prompt.points])
        labels = np.concatenate([marks, task.prompt.labels]).astype(int)
        parts, left = [], np.flatnonzero(labels == 1)
        while len(left):
            check_cancelled()
            view = task.views.at(tuple(at[left[0]]))
            y0, x0, y1, x1 = view.box
            here = np.asarray(((at >= (y0, x0)) & (at < (y1, x1))).all(1))
            piece = task.with_prompt(points=at[here], labels=labels[here], strokes=())
            parts.append((piece.solve(view)[0], view))
            left = left[~here[left]]
        return self._follow(parts)


def _spread(mask: Mask, view: View, most: int = 4) -> NDArray[Any]:
    """A few deep points of the mask inside a view, far from each other."""
    part = mask.window(view.box)
    step = max(int(view.cell) // 2, 1)
    small = part[::step, ::step]
    if not small.any():
        return np.zeros((0, 2))
    padded: Any = ndimage.distance_transform_edt(np.pad(small, 1))
    depth: Any = padded[1:-1, 1:-1]
    enough = 0.7 * float(np.quantile(depth[small], 0.9))
    deep = np.argwhere(depth >= enough)
    chosen = [deep[int(np.argmax(depth[deep[:, 0], deep[:, 1]]))]]
    gap = np.linalg.norm(deep - chosen[0], axis=1)
    while len(chosen) < most and gap.max() > 4:
        chosen.append(deep[gap.argmax()])
        gap = np.minimum(gap, np.linalg.norm(deep - chosen[-1], axis=1))
    return np.array(chosen) * step + np.array(view.box[:2])


def _cut(whole: NDArray[Any], corner: tuple[int, int], like: Mask) -> Mask:
    bbox, crop = tighten(whole, corner)
    return Mask(
        bbox,
        crop,
        like.score,
        like.shape,
        like.plane,
        like.stability,
        like.logits,
        like.view,
    )
