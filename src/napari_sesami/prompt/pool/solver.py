"""PoolSolver: asks all witnesses about a prompt, and lets the judge choose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.prompt.large_objects import SMALL
from napari_sesami.prompt.on_view import tensors
from napari_sesami.prompt.pool.candidates import Candidate, Scene, Witness, shrunk
from napari_sesami.prompt.pool.features import describe
from napari_sesami.prompt.pool.finish import to_data_pixels
from napari_sesami.prompt.pool.pictures import windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.prompt.on_view import PromptOnView
    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.view import View


@dataclass(eq=False)
class Level:
    """All candidates in one window, with their numbers.

    Attributes
    ----------
    scene
        The window and what is known of it.
    found
        The candidates.
    numbers
        (candidates, `NAMES`), what the judge reads.
    cut
        (candidates,) which run out of the window.
    last
        Whether the window holds the whole plane.
    """

    scene: Scene
    found: list[Candidate]
    numbers: NDArray[np.float32]
    cut: NDArray[np.bool_]
    last: bool

    @property
    def view(self) -> View:
        """The window."""
        return self.scene.pictures.view

    def in_window(self, mask: Mask) -> NDArray[np.bool_]:
        """A mask of the plane in the pixels of the window."""
        return shrunk(mask, self.view, self.scene.pictures.grey.shape)


class PoolSolver:
    """Answers a prompt with the candidate that the judge thinks best.

    Parameters
    ----------
    task
        The prompt on its plane.
    judge
        Predicts the overlap of candidates; the bundled one if None.
    """

    def __init__(self, task: PromptOnView) -> None:
        self.task = task
        self.first: Witness | None = None
        self.judge = None

    def levels(self) -> Iterator[Level]:
        """Collect candidates in windows that grow until they hold the whole plane."""
        task = self.task
        prompt, views = task.prompt, task.views
        self.first = witness(task, task.first_view())
        asked = [self.first]
        close = closer_view(task, asked[0])
        if close is not None:
            asked.append(witness(task, close))
        for window in windows(task.shape, prompt.extent):
            check_cancelled()
            known = [
                w
                for w in asked
                if holds(w.view, window) or w.view.shrink >= window.shrink
            ]
            if not known:
                view = views.around(prompt.anchor, prompt.extent, window.shrink)
                asked.append(witness(task, view))
                known = [asked[-1]]
            pictures = task.predictor.shelf.get(task.scan, task.plane, window)
            scene = Scene.of(pictures, prompt, known)
            found = scene.candidates()
            if not found:
                continue
            numbers = describe(scene, found, task.shape[0] * task.shape[1])
            inner = window.inner_sides(task.shape)
            cut = np.array([runs_out(c.mask, inner) for c in found])
            yield Level(scene, found, numbers, cut, not any(inner))

    def draw(self, level: Level, number: int, score: float) -> Mask:
        """Give a candidate as a mask of the plane."""
        c = level.found[number]
        steady = c.steady if np.isfinite(c.steady) else 1.0
        drawn = to_data_pixels(
            self.task, level.view, c.mask, level.scene.pictures.noise, score, steady
        )
        assert self.first is not None
        return replace(drawn, view=self.first.view)


def holds(view: View, window: View) -> bool:
    """Whether a view of the net shows all of a window."""
    a, b = view.box, window.box
    return a[0] <= b[0] and a[1] <= b[1] and a[2] >= b[2] and a[3] >= b[3]


def runs_out(mask: NDArray[np.bool_], inner: tuple[bool, ...]) -> bool:
    """Whether a mask touches a side of its window beyond which the plane goes on."""
    sides = (mask[0], mask[:, 0], mask[-1], mask[:, -1])
    return any(open_ and bool(s.any()) for open_, s in zip(inner, sides, strict=True))


def witness(task: PromptOnView, view: View) -> Witness:
    """Ask the net on one view."""
    model = task.predictor.model
    emb = task.predictor.embed(task.scan, task.plane, view)
    check_cancelled()
    given = tensors([task], view, emb, model.tile)
    logits, scores = model.decode(emb, **given, multimask=task.multimask)
    likeness = None
    if emb.tokens is not None and len(task.prompt.positive):
        likeness = _likeness(emb.tokens, view.to_cells(task.prompt.positive))
    return Witness(
        view,
        np.asarray(logits[0].detach().float().cpu()),
        np.clip(np.asarray(scores[0].detach().float().cpu()), 0, 1),
        likeness,
    )


def _likeness(tokens: Any, cells: NDArray[Any]) -> NDArray[np.float32]:
    """Cosine of every token with the nearest of the clicked ones, (h4, w4)."""
    t = tokens[0].detach().float().cpu().numpy()
    t = t / np.maximum(np.linalg.norm(t, axis=0, keepdims=True), 1e-9)
    at = np.minimum(cells, np.array(t.shape[1:]) - 1)[:4]
    clicked = t[:, at[:, 0], at[:, 1]]
    return np.asarray(np.einsum("dn,dhw->nhw", clicked, t).max(0), np.float32)


def closer_view(task: PromptOnView, first: Witness) -> View | None:
    """The enlarged view of a small object, for models that gain by it."""
    view = first.view
    if not getattr(task.predictor.model, "closer", False):
        return None
    if (view.shrink, view.grow) != (1, 1):
        return None
    best = first.logits[int(first.scores.argmax())]
    rows, columns = view.cells
    at = np.argwhere(best[:rows, :columns] > 0)
    if not len(at) or len(at) * 16 > 2 * SMALL:
        return None
    low, high = at.min(0) * 4 + view.box[:2], (at.max(0) + 1) * 4 + view.box[:2]
    if len(task.prompt.positive):
        low = np.minimum(low, task.prompt.positive.min(0))
        high = np.maximum(high, task.prompt.positive.max(0))
    close = task.views.close(tuple((low + high) / 2))
    extents = ((*low, *high), task.prompt.extent)
    return close if all(close.holds(e, task.shape) for e in extents) else None

