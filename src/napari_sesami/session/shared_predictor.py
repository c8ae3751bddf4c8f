"""One prompt model for all sessions of a window: a change of scan loads nothing."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.prompt import EmbeddingStore, Predictor
    from napari_sesami.session.prompts import Prompts


class SharedPredictor:
    """Lends the predictor that answered last; set it as `Prompts.lender`.

    Parameters
    ----------
    choose
        Gives name and device of the model for a session that names none.

    Attributes
    ----------
    loaded
        The predictor, or None as long as nothing was asked.
    notices
        What was done differently, one sentence each.
    """

    def __init__(self, choose: Callable[[], tuple[str, str]]) -> None:
        self.loaded: Predictor | None = None
        self.notices: list[str] = []
        self._choose = choose
        self._name = ""
        self._store: EmbeddingStore | None = None
        self._holder: weakref.ref[Prompts] | None = None

    def __call__(self, prompts: Prompts) -> None:
        """Give a session the model that it wants; loads it if it is another one."""
        from napari_sesami.models import load_prompt_model
        from napari_sesami.prompt import EmbeddingStore, Predictor

        name, device = self._choose()
        wish: Any = name if prompts.model is None else prompts.model
        last = self.loaded
        if last is None or not (wish is last.model or wish == self._name):
            named = isinstance(wish, str) or hasattr(wish, "__fspath__")
            model = load_prompt_model(wish, device) if named else wish
            if self._store is None:
                self._store = EmbeddingStore.in_user_folder()
            last = Predictor(model, self._store, self.notices.append)
            self.loaded, self._name = last, str(wish) if named else ""
        held = self._holder is not None and self._holder() is prompts
        if not held or prompts.loaded is not last:
            prompts.share(last)
            self._holder = weakref.ref(prompts)
