"""WorklistEngine: propose, judge, teach, train, and propose better, scan by scan."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_sesami.project import Project, ProjectError
from napari_sesami.session import Session, SessionError
from napari_sesami.worklist.proposer import Proposer
from napari_sesami.worklist.review import Review, Source
from napari_sesami.worklist.rounds import rounds_of
from napari_sesami.worklist.worklist import WorkList

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from napari_sesami.common.cancel import IsCancelled
    from napari_sesami.prompt import Mask
    from napari_sesami.worklist.rounds import Round
    from napari_sesami.worklist.teacher import LabelledScan
    from napari_sesami.worklist.worklist import WorkItem

    Progress = Callable[[float, str], None]


class WorklistEngine:
    """Works through a folder of scans: the more is accepted, the better it proposes.

    Parameters
    ----------
    project
        A folder ``*.sesami`` (made if it is not there) or an open `Project`.
    folder
        The scans; by default the folder of last time.
    model, token_encoder
        As of a `Session`; by default the bundled ones.

    Attributes
    ----------
    worklist
        The scans with their states and times.
    session, review
        The scan at work and its proposals, or None.
    proposer
        What makes the proposals.
    notice
        One sentence if the proposals of last time could not be read, or "".

    Examples
    --------
    >>> engine = WorklistEngine("wafers.sesami", "wafers/")  # doctest: +SKIP
    >>> s = engine.open()  # the first one is labelled by hand  # doctest: +SKIP
    >>> s.commit(s.prompt(points=[(40, 60)]), "void")  # doctest: +SKIP
    >>> engine.finish()  # doctest: +SKIP
    >>> review = engine.open() and engine.propose()  # doctest: +SKIP
    >>> review.reject(3), review.accept_rest(), engine.finish()  # doctest: +SKIP
    >>> engine.train(steps=200).wait(), engine.rounds()  # doctest: +SKIP
    """

    def __init__(
        self,
        project: Project | str | Path,
        folder: str | Path | None = None,
        *,
        model: Any = None,
        token_encoder: Any = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owns = not isinstance(project, Project)
        home = project if isinstance(project, Project) else None
        self.project = home or Project.open_or_create(project)  # type: ignore[arg-type]
        try:
            self.worklist = WorkList(self.project, folder, now=now)
        except BaseException:
            if self._owns and not self.project.in_use:
                self.project.close()
            raise
        self.session: Session | None = None
        self.review: Review | None = None
        self.notice = ""
        self.proposer = Proposer(self.project, self.worklist)
        self._model, self._encoder = model, token_encoder

    # --- one scan after the other

    @property
    def item(self) -> WorkItem:
        """The item at work."""
        if self.session is None or self.worklist.current is None:
            raise SessionError("No scan of the work list is open; open one first.")
        return self.worklist[self.worklist.current]

    def open(self, name: str | None = None) -> Session:
        """Leave the scan at work and open another; by default the next to be done."""
        if name is None:
            item = self.worklist.step(open_only=True)
            if item is None:
                raise SessionError("Every scan of the work list is accepted.")
            name = item.name
        self.leave()
        session = self.load(name)
        self.settle(session, name)
        return session

    def load(self, name: str) -> Session:
        """Open a scan of the list as a session, and nothing else; for a work thread."""
        scan = self.worklist.open_scan(name)
        try:
            session = Session(scan, self.project, model=self._model)
        except ProjectError as error:  # the file has other pixels now
            self.worklist.trouble(name, str(error))
            raise
        _ = scan.normalisation  # reads a sample of the pixels
        if self._encoder is not None:
            session.retrieval.encoder = self._encoder
        return session

    def settle(self, session: Session, name: str) -> None:
        """Put a loaded session to work: its clock runs, its proposals come back."""
        self.worklist.enter(name, self.project.add_scan(session.scan).key)
        self.session, self.review = session, None
        session.document.events.changed.connect(self._on_pixels)
        session.document.events.history.connect(self._on_history)
        path = self._path(name)
        self.notice = ""
        if path.exists():
            try:
                self._take(Review.read(session, path))
            except SessionError as error:
                self.notice = str(error)

    def leave(self, *, close: bool = True) -> None:
        """Let go of the scan at work; everything is saved."""
        session, self.session = self.session, None
        if session is None:
            return
        self._keep()
        self.review = None
        self.worklist.pause()
        session.document.events.changed.disconnect(self._on_pixels)
        session.document.events.history.disconnect(self._on_history)
        if close:
            if not self.project.read_only:
                session.save()
            session.close()

    def finish(self) -> dict[str, Any]:
        """Accept the scan at work as it is: from now on it teaches the others.

        Returns
        -------
        dict
            What was measured: counts of proposals by what became of them, and overlap.
        """
        session, item = self._at_work(), self.item
        if not any(
            session.document.labels.plane(p).any()
            for p in session.document.labels.planes
        ):
            raise SessionError(
                f"Nothing is labelled in {item.name} yet; label it, or go to the next."
            )
        record = self.review.record() if self.review is not None else {}
        record["objects"] = len(session.objects)
        session.save()
        self._keep()
        self.worklist.beat()
        self.worklist.note(item.name, record)
        self.worklist.set_state(item.name, "accepted")
        return record

    def close(self) -> None:
        """Leave the scan at work and let go of the project."""
        self.leave()
        if self._owns and not self.project.in_use:
            self.project.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- proposing

    def sources(self, but: str | None = None) -> list[LabelledScan]:
        """The accepted scans of the list, read as they were saved last."""
        return self.proposer.sources(but)

    def propose(
        self,
        plane: int | None = None,
        *,
        sharpen: bool | None = None,
        progress: Progress | None = None,
        cancelled: IsCancelled | None = None,
    ) -> Review:
        """Let the model propose masks for the scan at work, and wait for a judgement.

        Parameters
        ----------
        plane
            Number of the plane; may be left out if there is but one.
        sharpen
            Whether the prompt model is asked for the masks, or they are the regions in
            which the votes of the labelled scans agree. By default the scan accepted
            last decides: there it is known which of the two comes nearer.
        progress, cancelled
            `progress(fraction, text)`; a cancelled call raises `Cancelled`.
        """
        session = self._at_work()
        found = self.proposer.compute(
            session, plane, sharpen=sharpen, progress=progress, cancelled=cancelled
        )
        return self.take(*found)

    def take(self, proposed: list[Mask], source: Source) -> Review:
        """Put proposals before the user; older ones that still wait are dropped."""
        session = self._at_work()
        if not proposed:
            raise SessionError(
                "The model found nothing to propose here; label it by hand."
            )
        self._take(Review(session, proposed, source))
        assert self.review is not None
        self.worklist.set_state(self.item.name, "proposed")
        self._keep(all_=True)
        return self.review

    # --- training

    def train(self, recipe: str = "sesami", **options: Any) -> Any:
        """Start a run on all labels of the project, as `Session.train` does."""
        session = self._at_work()
        session.save()
        return session.runs.start(recipe, **options)

    def rounds(self) -> list[Round]:
        """How good the proposals of each model were, in the order of the models."""
        return rounds_of(self.worklist)

    # --- inside

    def _at_work(self) -> Session:
        if self.session is None:
            raise SessionError("No scan of the work list is open; open one first.")
        return self.session

    def _path(self, name: str) -> Path:
        key = self.worklist[name].key
        return self.project.path / "queries" / f"proposals-{key}.json"

    def _take(self, review: Review) -> None:
        self.review = review
        review.changed.connect(self._on_judged)

    def _keep(self, *, all_: bool = False) -> None:
        """Write judgements (and proposals), so that a restart goes on with them."""
        if self.review is not None and not self.project.read_only:
            self.project.folder("queries")
            self.review.write(self._path(self.item_name()), all_=all_)

    def item_name(self) -> str:
        """Name of the item at work."""
        name = self.worklist.current
        if name is None:
            raise SessionError("No scan of the work list is open; open one first.")
        return name

    def _on_judged(self) -> None:
        self.worklist.beat()
        self._begun()
        self._keep()

    def _on_pixels(self, plane: int, bbox: tuple[int, ...], layer: str) -> None:
        if layer == "labels":
            self._begun()

    def _on_history(self) -> None:
        self.worklist.beat()

    def _begun(self) -> None:
        """Somebody is at it: what was accepted has to be accepted again."""
        self.worklist.set_state(self.item_name(), "corrected")
