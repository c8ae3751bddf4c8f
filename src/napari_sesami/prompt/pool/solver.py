"""PoolSolver: asks all witnesses about a prompt, and lets the judge choose."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.prompt.large_objects import LargeObjectSolver
from napari_sesami.prompt.pool.candidates import Candidate, PromptScene, Witness
from napari_sesami.prompt.pool.features import beside, describe
from napari_sesami.prompt.pool.finish import to_data_pixels
from napari_sesami.prompt.pool.judge import kind_of
from napari_sesami.prompt.pool.level import WindowLevel
from napari_sesami.prompt.pool.net_only import net_level
from napari_sesami.prompt.pool.pictures import windows
from napari_sesami.prompt.render import prior_logits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.on_view import PromptOnView
    from napari_sesami.prompt.pool.judge import ClickJudge
    from napari_sesami.prompt.view import View


ENOUGH = 0.72  # predicted overlap at which no wider window is opened: costs nothing
OUT = 2.0  # taken off for a candidate that runs out of its window


class PoolSolver:
    """Answers a prompt with the candidate that the judge thinks best.

    The net's plain answer is one of them. Where it is surely good, no other is asked.

    Parameters
    ----------
    task
        The prompt on its plane.
    judge
        Predicts the overlap of candidates; without one, only `levels` can be asked for.
    """

    def __init__(self, task: PromptOnView, judge: ClickJudge | None) -> None:
        self.task, self.judge = task, judge
        self.alone = task.with_prompt()
        self.alone.judge = None
        self.said: tuple[str, float] = ("", np.nan)
        """Which trees judged the last answer, and what they said before calibration."""

    @cached_property
    def plain(self) -> Mask:
        """What the net answers alone, with all its further looks."""
        return LargeObjectSolver(self.alone).solve()

    def solve(self) -> Mask | None:
        """The best candidate with the overlap to expect of it; None if there is none.

        Wider windows are opened only until a candidate is as good as can be hoped.
        """
        assert self.judge is not None
        judge, kind = self.judge, kind_of(self.task.prompt)
        best: tuple[float, float, WindowLevel, int] | None = None
        for i, scene in enumerate(self.scenes()):
            if i == 0:
                early = self.level(scene, scene.of_net(), rows=1)
                if early and self._could_be_all(scene, early):
                    value = float(judge.first.predict(early.numbers)[0])
                    if value >= judge.sure[kind]:
                        self.said = ("first", value)
                        return replace(self.plain, score=judge.first.expect(value))
            level = self.level(scene, scene.candidates())
            if level is None:
                continue
            said, worth = self._judged(level)
            k = int(np.argmax(worth))
            if best is None or worth[k] > best[0]:
                best = (float(worth[k]), float(said[k]), level, k)
            # where the favourite of a window runs out of it, a wider one is asked
            fits = not level.cut[int(np.argmax(said))]
            if fits and best[1] >= ENOUGH and not best[2].cut[best[3]]:
                break
        if best is None:
            return None
        self.said = ("pool", best[1])
        return self.draw(best[2], best[3], judge.pool.expect(best[1]))

    @staticmethod
    def _could_be_all(scene: PromptScene, early: WindowLevel) -> bool:
        """Whether the plain answer is whole in view and obeys the clicks."""
        whole = bool(early.is_plain[0]) and not early.cut[0]
        return whole and scene.obeys(early.found[0].mask)

    def _judged(
        self, level: WindowLevel
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the trees predict, and what that is worth when choosing."""
        assert self.judge is not None
        said = self.judge.pool.predict(beside(level.numbers))
        lean = self.judge.lean[kind_of(self.task.prompt)]
        return said, said - np.float32(OUT) * level.cut + lean * level.is_plain

    def answers(self, most: int = 3, unlike: float = 0.8) -> list[Mask]:
        """The best candidates that are not much the same, best first."""
        assert self.judge is not None
        ranked: list[tuple[float, int, float, WindowLevel, int]] = []
        for level in self.levels():
            said, worth = self._judged(level)
            for i in np.argsort(-worth, kind="stable")[: 3 * most]:
                if not level.cut[i]:
                    place = (float(worth[i]), len(ranked), float(said[i]))
                    ranked.append((*place, level, int(i)))
        drawn: list[Mask] = []
        for _, _, value, level, i in sorted(ranked, key=lambda r: (-r[0], r[1])):
            mask = self.draw(level, i, self.judge.pool.expect(value))
            if all(mask.iou(other) < unlike for other in drawn):
                drawn.append(mask)
            if len(drawn) == most:
                break
        return drawn

    def scenes(self) -> Iterator[PromptScene]:
        """Look at windows that grow until they hold the whole plane."""
        task, plain = self.task, self.plain
        prompt, views = task.prompt, task.views
        asked = [witness(self.alone, view) for view in tuple(self.alone.said)]
        anchor = prompt.anchor if len(prompt.positive) else None
        last = prompt.mask
        for window in windows(task.shape, prompt.extent, anchor):
            check_cancelled()
            if last is not None and _leaves(last, window, task.shape):
                if _leaves(plain, window, task.shape):
                    continue  # it is larger than this window: nothing here is whole
            known = [
                w
                for w in asked
                if holds(w.view, window) or w.view.shrink >= window.shrink
            ]
            if not known:
                view = views.around(prompt.anchor, prompt.extent, window.shrink)
                asked.append(witness(self.alone, view))
                known = [asked[-1]]
            pictures = task.predictor.shelf.get(task.scan, task.plane, window)
            yield PromptScene.of(pictures, prompt, known, task.shape, plain)

    def level(
        self, scene: PromptScene, found: list[Candidate], rows: int | None = None
    ) -> WindowLevel | None:
        """Number candidates, or the first `rows` of them; None if there are none."""
        if not found:
            return None
        shape = self.task.shape
        numbers = describe(scene, found, shape[0] * shape[1], rows)
        inner = scene.pictures.view.inner_sides(shape)
        return WindowLevel(scene, found, numbers, inner)

    def levels(self) -> Iterator[WindowLevel]:
        """Collect all candidates of each window."""
        for scene in self.scenes():
            level = self.level(scene, scene.candidates())
            if level is not None:
                yield level

    def net_alone(self) -> WindowLevel | None:
        """The net's own masks as `predict_many` judges them, at their resolution."""
        first = witness(self.task, self.task.first_view())
        kept = [self.task.own_parts(m, first.view) for m in first.logits]
        return net_level(self.task, kept, first.scores, first.view)

    def draw(self, level: WindowLevel, number: int, score: float) -> Mask:
        """Give a candidate as a mask of the plane."""
        whole = level.whole(number)
        if whole is not None:
            return replace(whole, score=score)
        pictures, mask = level.scene.pictures, level.found[number].mask
        drawn = to_data_pixels(self.task, level.view, mask, pictures.noise, score)
        if self.plain.logits is not None:
            # corrections go on from the net's own answer, as it was taught
            return replace(drawn, view=self.plain.view, logits=self.plain.logits)
        # the next click is answered from the view that saw this one, with this mask
        near = level.scene.witnesses[-1]
        rows, columns = near.logits.shape[-2:]
        logits = prior_logits(drawn, near.view, (rows, columns))
        return replace(drawn, view=near.view, logits=logits)


def _leaves(mask: Mask, window: View, shape: tuple[int, int]) -> bool:
    """Whether a mask goes on beyond a window of a plane."""
    a, b = mask.bbox, window.box
    over = (a[0] < b[0], a[1] < b[1], a[2] > b[2], a[3] > b[3])
    return any(o and i for o, i in zip(over, window.inner_sides(shape), strict=True))


def holds(view: View, window: View) -> bool:
    """Whether a view of the net shows all of a window."""
    a, b = view.box, window.box
    return a[0] <= b[0] and a[1] <= b[1] and a[2] >= b[2] and a[3] >= b[3]


def witness(task: PromptOnView, view: View) -> Witness:
    """Ask the net on one view."""
    emb, logits, scores = task.ask(view)
    likeness = None
    if emb.tokens is not None and len(task.prompt.positive):
        likeness = _likeness(emb.tokens, view.to_cells(task.prompt.positive))
    return Witness(
        view,
        np.asarray(logits.detach().float().cpu()),
        np.clip(np.asarray(scores.detach().float().cpu()), 0, 1),
        likeness,
    )


def _likeness(tokens: Any, cells: NDArray[Any]) -> NDArray[np.float32]:
    """Cosine of every token with the nearest of the clicked ones, (h4, w4)."""
    t = tokens[0].detach().float().cpu().numpy()
    t = t / np.maximum(np.linalg.norm(t, axis=0, keepdims=True), 1e-9)
    at = np.minimum(cells, np.array(t.shape[1:]) - 1)[:4]
    clicked = t[:, at[:, 0], at[:, 1]]
    return np.asarray(np.einsum("dn,dhw->nhw", clicked, t).max(0), np.float32)
