"""Eyes: what solving one prompt needs of a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from napari_sesami.models import Embedding, PromptModel
    from napari_sesami.prompt.pool.judge import ClickJudge
    from napari_sesami.prompt.pool.pictures import PictureShelf
    from napari_sesami.prompt.view import View, Views
    from napari_sesami.scan import Scan


class Eyes(Protocol):
    """Sees a scan through a model: embeddings, pictures of windows, and the judge."""

    model: PromptModel
    shelf: PictureShelf

    @property
    def judge(self) -> ClickJudge | None:
        """Who chooses among candidates."""
        ...

    def views(self, scan: Scan) -> Views:
        """How views of a scan are chosen."""
        ...

    def embed(self, scan: Scan, plane: int, view: View) -> Embedding:
        """Find the embedding of a view, or make it."""
        ...
