"""One prompt on one plane, solved on one view or several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sesami.common.cancel import check_cancelled
from napari_sesami.prompt.pool.net_only import judge_net
from napari_sesami.prompt.render import draw, parts_hit, parts_large, prior_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.models import Embedding
    from napari_sesami.prompt.eyes import Eyes
    from napari_sesami.prompt.mask import Mask
    from napari_sesami.prompt.prompts import Prompt
    from napari_sesami.prompt.view import View
    from napari_sesami.scan import Scan


class PromptOnView:
    """One prompt on one plane, to be solved on one or more views."""

    def __init__(
        self,
        predictor: Eyes,
        scan: Scan,
        plane: int,
        prompt: Prompt,
        multimask: bool | None,
        connected: bool,
    ) -> None:
        self.predictor, self.scan, self.plane = predictor, scan, plane
        self.prompt, self.connected = prompt, connected
        self.multimask = prompt.is_one_click if multimask is None else multimask
        self.views = predictor.views(scan)
        self.judge = predictor.judge
        self.said: dict[View, tuple[Embedding, torch.Tensor, torch.Tensor]] = {}
        """What the net said, by view: embedding, logits and scores."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the plane."""
        return self.views.shape

    @property
    def suits_pool(self) -> bool:
        """Whether other witnesses than the net can say something: there is a place."""
        placed = len(self.prompt.positive) or self.prompt.box is not None
        return bool(placed) and self.connected

    def first_view(self) -> View:
        """The view that the prompts call for."""
        last = self.prompt.mask
        if last is not None and last.view is not None:
            # a later click on the same object stays where the object was found
            if self._only_mask() or last.view.holds(self.prompt.extent, self.shape):
                return last.view
            near = last.view.shrink
            return self.views.around(self.prompt.anchor, self.prompt.extent, near)
        return self.views.around(self.prompt.anchor, self.prompt.extent)

    def _only_mask(self) -> bool:
        prompt = self.prompt
        return not (len(prompt.points) or prompt.strokes or prompt.box is not None)

    def with_prompt(self, **changes: Any) -> PromptOnView:
        """Ask the same on changed prompts."""
        prompt = replace(self.prompt, **changes)
        task = PromptOnView(
            self.predictor,
            self.scan,
            self.plane,
            prompt,
            self.multimask,
            self.connected,
        )
        task.judge = self.judge
        return task

    def ask(self, view: View) -> tuple[Embedding, torch.Tensor, torch.Tensor]:
        """Ask the net on one view, once: embedding, logits and scores."""
        if view not in self.said:
            emb = self.predictor.embed(self.scan, self.plane, view)
            check_cancelled()
            logits, scores = self.predictor.model.decode(
                emb,
                **tensors([self], view, emb, self.predictor.model.tile),
                multimask=self.multimask,
            )
            self.said[view] = (emb, logits[0], scores[0])
        return self.said[view]

    def solve(self, view: View) -> list[Mask]:
        """Candidates on one view, best first."""
        _, logits, scores = self.ask(view)
        return self.read(logits, scores, view)

    def read(
        self,
        logits: torch.Tensor,
        scores: torch.Tensor,
        view: View,
        only_best: bool = False,
    ) -> list[Mask]:
        """Rank the candidates on low-resolution logits; upscale those asked for."""
        maps = np.asarray(logits.detach().float().cpu())
        said = np.clip(np.asarray(scores.detach().float().cpu()), 0, 1)
        rows, columns = view.cells
        kept = [self.own_parts(m, view) for m in maps]
        inside = [m[:rows, :columns] for m in kept]
        steady = [_stability(m) for m in inside]
        ranks = [
            float(s) + 0.25 * q - self._offence(m, view)
            for s, q, m in zip(said, steady, inside, strict=True)
        ]
        order = np.argsort(ranks, kind="stable")[::-1]
        if self.judge is not None:
            judged = judge_net(self.judge, self, kept, said, view)
            if judged is not None:
                order, said = judged
        return [
            draw(kept[i], view, self.shape, self.plane, float(said[i]), steady[i])
            for i in (order[:1] if only_best else order)
        ]

    def own_parts(self, logits: NDArray[np.float32], view: View) -> NDArray[np.float32]:
        """Push down what hangs together with no positive prompt."""
        if not self.connected:
            return logits
        positive = self.prompt.positive
        if len(positive) and self.prompt.box is None and self.prompt.mask is None:
            return parts_hit(logits, view.to_cells(positive))
        return parts_large(logits)

    def _offence(self, inside: NDArray[np.float32], view: View) -> float:
        """How far a candidate goes against the clicks; large for an empty one."""
        if not (inside > 0).any():
            return 10.0
        at, labels = self.prompt.clicks
        if not len(at):
            return 0.0
        cells = view.to_cells(at)
        said = inside[cells[:, 0], cells[:, 1]] > 0
        return 0.5 * float(np.mean(said != (labels == 1)))


def solve_together(tasks: list[PromptOnView], view: View) -> list[Mask]:
    """Best masks of many prompts on one view."""
    first = tasks[0]
    model = first.predictor.model
    emb = first.predictor.embed(first.scan, first.plane, view)
    given = tensors(tasks, view, emb, model.tile)
    logits, scores = model.decode(emb, **given, multimask=first.multimask)
    return [
        task.read(m, s, view, only_best=True)[0]
        for task, m, s in zip(tasks, logits, scores, strict=True)
    ]


def tensors(
    tasks: list[PromptOnView], view: View, emb: Embedding, tile: int
) -> dict[str, torch.Tensor | None]:
    """Prompts of one kind as the model takes them, in view pixels."""
    clicks = [task.prompt.clicks for task in tasks]
    most = max(len(at) for at, _ in clicks)
    out: dict[str, torch.Tensor | None] = dict.fromkeys(
        ("points", "labels", "boxes", "masks")
    )
    if most:
        points = np.zeros((len(tasks), most, 2), np.float32)
        labels = np.full((len(tasks), most), -1, np.int64)
        for i, (at, signs) in enumerate(clicks):
            points[i, : len(at)] = view.to_view(at)
            labels[i, : len(at)] = signs
        out["points"], out["labels"] = (
            torch.from_numpy(points),
            torch.from_numpy(labels),
        )
    boxes = [task.prompt.box for task in tasks]
    if boxes[0] is not None:
        seen = np.stack([view.box_to_view(b) for b in boxes if b is not None])
        out["boxes"] = torch.from_numpy(seen.astype(np.float32))
    if tasks[0].prompt.mask is not None:
        grid = (tile // 4, tile // 4) if emb.tokens is None else emb.tokens.shape[-2:]
        priors = [
            prior_logits(t.prompt.mask, view, (int(grid[0]), int(grid[1])))
            for t in tasks
            if t.prompt.mask is not None
        ]
        out["masks"] = torch.from_numpy(np.stack(priors)[:, None])
    return out


def _stability(inside: NDArray[np.float32]) -> float:
    """Overlap of the mask at a stricter threshold with that at a laxer one."""
    lax = int(np.count_nonzero(inside > -1))
    return int(np.count_nonzero(inside > 1)) / lax if lax else 0.0
