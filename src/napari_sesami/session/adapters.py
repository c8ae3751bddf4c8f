"""Which adapter answers prompts: switched, remembered in the project, rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import inside
from napari_sesami.project import Remembered
from napari_sesami.session.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sesami.models import AdapterCard
    from napari_sesami.project import Project
    from napari_sesami.session.document import Document

MEMORY = "active.json"
BASE = "sesami-nano"  # the model of a session that names none


@dataclass(frozen=True)
class Adapter:
    """An adapter that can be used, with what its file says.

    Attributes
    ----------
    name, path
        The name is that of the file.
    card
        Base, classes, metrics and so on.
    active
        Whether it answers prompts now.
    """

    name: str
    path: Path
    card: AdapterCard
    active: bool = False


def is_file_name(model: str | Path) -> bool:
    """Whether a model is given as a file of weights, not by its name."""
    return Path(model).suffix in (".safetensors", ".pth", ".pt")


class Adapters:
    """Switches adapters of the prompt model; the base's weights are never changed.

    Parameters
    ----------
    document
        Whose project remembers what is in use.

    Attributes
    ----------
    base
        The prompt model, by name, path or itself; None is the bundled one.
    loaded
        The model as it was loaded, or None.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.base: Any = None
        self.loaded: Any = None
        self._memory: dict[str, dict[str, Any]] | None = None
        self._project: Project | None = None

    @property
    def model_name(self) -> str:
        """What the prompt model is called; adapters are remembered for each."""
        model = self.base
        if model is None:
            return BASE
        if isinstance(model, str | Path):
            return Path(model).stem if is_file_name(model) else str(model)
        return str(model.name)

    @property
    def active(self) -> Path | None:
        """The file of the adapter that answers prompts; None for the base alone."""
        name = self._remembered()["active"]
        return None if name is None else self._place(name)

    @property
    def active_name(self) -> str:
        """Its name, empty for the base alone."""
        path = self.active
        return "" if path is None else path.stem

    @property
    def can_roll_back(self) -> bool:
        """Whether another adapter, or none, was in use before."""
        return bool(self._remembered()["before"])

    def list(self) -> list[Adapter]:
        """Adapters of the prompt model: those of the project, then the user's own.

        Files that cannot be read, and adapters of other models, are passed over.
        """
        from napari_sesami.models import ModelError, read_card

        active, found = self.active, []
        for folder in self.folders():
            for path in sorted(folder.glob("*.safetensors")):
                try:
                    card = read_card(path)
                except ModelError:
                    continue
                if card.base == self.model_name:
                    found.append(Adapter(path.stem, path, card, path == active))
        return found

    def use(self, adapter: str | Path | None) -> None:
        """Answer prompts with an adapter from now on, or with the base alone (None).

        Parameters
        ----------
        adapter
            A name in `list`, or a file.

        Raises
        ------
        ModelError
            The file is no adapter, or was trained on another model; nothing changed.
        """
        path = None if adapter is None else self._found(adapter)
        told = self._remembered()
        if path == self.active:
            return
        self._switch(path)
        before = [*told["before"], told["active"]]
        self._remember({"active": self._stored(path), "before": before})

    def roll_back(self) -> None:
        """Go back to the adapter, or the bare base, that was in use before."""
        told = self._remembered()
        if not told["before"]:
            raise SessionError("There is no earlier adapter to go back to.")
        *before, last = told["before"]
        self._switch(None if last is None else self._place(last))
        self._remember({"active": last, "before": before})

    def __call__(self) -> Sequence[Adapter]:
        """The same as `list`."""
        return self.list()

    def with_adapter(self, model: Any, *, afresh: bool = False) -> Any:
        """Let a loaded model answer with the adapter that is remembered for it.

        `afresh` takes off first what another session may have left on the model.
        """
        from napari_sesami.models import ModelError, remove_lora, use_adapter

        if afresh:
            remove_lora(model)
        self.loaded = model
        path = self.active
        if path is not None:
            try:
                use_adapter(model, path)
            except ModelError as error:
                self._remember({**self._remembered(), "active": None})
                self._document.events.trouble.emit(
                    f"Prompts are answered by the base model alone: {error}"
                )
        return model

    # --- inside

    def _switch(self, path: Path | None) -> None:
        """Change the model that is loaded; one that is not yet is checked later."""
        from napari_sesami.models import read_card, use_adapter

        if self.loaded is not None:
            use_adapter(self.loaded, path)
        elif path is not None:
            read_card(path)

    def _found(self, adapter: str | Path) -> Path:
        path = Path(adapter)
        if path.suffix == ".safetensors":
            return path.expanduser().absolute()
        known = {entry.name: entry.path for entry in self.list()}
        if str(adapter) not in known:
            names = ", ".join(known) or "none yet"
            raise SessionError(
                f"There is no adapter “{adapter}” for {self.model_name}; there are: "
                f"{names}."
            )
        return known[str(adapter)]

    def folders(self) -> Sequence[Path]:
        """Where adapters are looked for: in the project, then in the user's own."""
        from napari_sesami.common.home import home

        project = self._document.project
        own = [] if project is None else [project.path / "adapters"]
        return [*own, home() / "adapters"]

    def folder(self) -> Path:
        """Where adapters of this session are kept."""
        project = self._document.project
        if project is not None and not project.read_only:
            return project.folder("adapters")
        folder = self.folders()[-1]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _stored(self, path: Path | None) -> str | None:
        """A path as it is remembered: by name inside the project."""
        if path is None:
            return None
        inside = self._document.project is not None and path.parent == self.folders()[0]
        return path.name if inside else str(path)

    def _place(self, name: str) -> Path:
        """Where a remembered adapter is; a whole path stands for itself."""
        if Path(name).is_absolute() and name.endswith(".safetensors"):
            return Path(name)
        return inside(self.folders()[0], name)

    def _read_memory(self) -> dict[str, Any] | None:
        """Read what the project remembers; what is damaged in it counts for nothing."""
        assert self._document.project is not None
        try:
            read = self._document.project.read_json(
                "adapters", MEMORY, dict[str, Remembered]
            )
            for told in (read or {}).values():
                for name in (told["active"], *told["before"]):
                    if name is not None:
                        self._place(name)
        except SesamiError as error:
            self._document.events.trouble.emit(
                f"Prompts are answered by the base model alone: {error}"
            )
            return {}
        return read

    def _remembered(self) -> dict[str, Any]:
        """What is in use with this model, and what was before."""
        if self._memory is None or self._project is not self._document.project:
            read = None if self._document.project is None else self._read_memory()
            # work that was only in memory moves into the project with all it uses
            self._memory = dict(read or self._memory or {})
            self._project = self._document.project
            if read is None and self._memory:
                self._write_memory()
        nothing: dict[str, Any] = {"active": None, "before": []}
        return {**nothing, **self._memory.get(self.model_name, {})}

    def _remember(self, told: dict[str, Any]) -> None:
        self._remembered()
        memory = self._memory or {}
        memory[self.model_name] = told
        self._memory = memory
        self._write_memory()

    def _write_memory(self) -> None:
        if self._document.project is not None and not self._document.project.read_only:
            memory = self._memory or {}
            self._document.project.write_json("adapters", MEMORY, memory)
