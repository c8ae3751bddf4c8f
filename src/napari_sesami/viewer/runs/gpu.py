"""Lends the graphics memory of the models at work to runs, and takes it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_sesami.viewer.app.jobs import Priority
from napari_sesami.viewer.prompt.controller import PromptController

if TYPE_CHECKING:
    from napari_sesami.prompt import Predictor
    from napari_sesami.train import Run
    from napari_sesami.viewer.app.jobs import Job
    from napari_sesami.viewer.app.workspace import Workspace

TOPIC = "graphics memory"


class GpuHandover:
    """Moves the models of a workspace to the CPU while a run needs the graphics card.

    Clicks are answered meanwhile, slower; the models go back when the run has ended.
    All moving is done by the thread that asks the models.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lent: dict[int, tuple[Any, str]] = {}
        self.wanted = False

    def need(self, needed: bool) -> None:
        """Say whether a run needs the graphics card now; may be said again."""
        busy = [model for model in self._models() if _elsewhere(model)]
        if needed and busy:
            task: Any = _Lend(self._lent, busy, self._stores())
            self._workspace.jobs.submit(
                TOPIC, task, self._on_lent, priority=Priority.CLICK
            )
        elif not needed and self.wanted:
            task = _TakeBack(self._lent, self._stores())
            self._workspace.jobs.submit(
                TOPIC, task, self._on_back, priority=Priority.CLICK
            )
        self.wanted = needed

    def _on_lent(self, _: object) -> None:
        self._workspace.say(
            "The model moved to the processor while the run needs the graphics card; "
            "clicks take longer meanwhile."
        )

    def _on_back(self, moved: int) -> None:
        if moved:
            self._workspace.say("The model is back on the graphics card.")

    def _models(self) -> list[Any]:
        return list({id(p.model): p.model for p in self._predictors()}.values())

    def _stores(self) -> list[Any]:
        return [predictor.store for predictor in self._predictors()]

    def _predictors(self) -> list[Predictor]:
        """Those that are loaded; asking for them must not load any."""
        prompts, session = (
            self._workspace.find(PromptController),
            self._workspace.session,
        )
        found = [None if prompts is None else prompts.engine.loaded]
        found.append(None if session is None else session.prompts.loaded)
        return [predictor for predictor in found if predictor is not None]


@dataclass
class _Lend:
    lent: dict[int, tuple[Any, str]]
    models: list[Any]
    stores: list[Any]

    def __call__(self, job: Job) -> None:
        for model in self.models:
            self.lent[id(model)] = (model, str(model.device))
            model.to("cpu")
        _forget(self.stores)


@dataclass
class _TakeBack:
    lent: dict[int, tuple[Any, str]]
    stores: list[Any] = field(default_factory=list)

    def __call__(self, job: Job) -> int:
        moved = len(self.lent)
        while self.lent:
            model, device = self.lent.popitem()[1]
            model.to(device)
        if moved:
            _forget(self.stores)
        return moved


def _elsewhere(model: Any) -> bool:
    """Whether a model is on a graphics card and can be moved."""
    device = getattr(model, "device", None)
    return hasattr(model, "to") and getattr(device, "type", "cpu") != "cpu"


def _forget(stores: list[Any]) -> None:
    """Drop embeddings that lie on the other device, and give the memory back."""
    for store in stores:
        store.clear()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def needs_card(run: Run) -> bool:
    """Whether a run computes, or is about to, on a graphics card if there is one."""
    at_work = run.status.state in ("starting", "running", "paused")
    return at_work and run.config.device != "cpu"
