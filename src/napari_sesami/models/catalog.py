"""The catalog: which models there are, from where, under which licence."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from napari_sesami.common.checked import read_checked
from napari_sesami.common.errors import SesamiError
from napari_sesami.common.inside import inside
from napari_sesami.models.known import KNOWN, Known
from napari_sesami.models.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_sesami.common.cancel import IsCancelled, Progress

__all__ = [
    "Entry",
    "Known",
    "available",
    "download",
    "entries",
    "find",
    "folder",
    "import_file",
    "info",
    "remove",
    "verify",
]

BUNDLED, IMPORTED, DOWNLOADED = "bundled", "imported", "downloaded"
_NO_CHECKSUM = "not known here: it cannot be checked, and is not downloaded"
UNKNOWN_LICENCE = "unknown: ask whoever gave you the file"
WEIGHTS, CARD = "weights.safetensors", "card.json"


@dataclass(frozen=True)
class Entry:
    """One installed model.

    Attributes
    ----------
    name, title
        The name is what every function and command takes.
    kind
        `"prompt"` (clicks to masks, and tokens), `"tokens"`, or `"features"` (an
        encoder that nets to be trained start from).
    architecture
        As recognised from the weights.
    source
        `"bundled"`, `"imported"` or `"downloaded"`.
    origin
        The file or address it came from.
    licence, non_commercial
        What is known of it; non-commercial weights are marked everywhere.
    sha256, size
        Of the weights file here.
    card
        What it was trained on, and how well it does, in words.
    options
        How to load it (pixel range, heads), beside what the weights tell.
    path
        The weights file.
    """

    name: str
    title: str
    kind: str
    architecture: str
    source: str
    origin: str
    licence: str
    non_commercial: bool
    sha256: str
    size: int
    card: str
    options: dict[str, Any]
    path: Path

    @property
    def device(self) -> str:
        """The device it would run on now."""
        from napari_sesami.models.device import choose_device

        return choose_device("auto").name

    @property
    def removable(self) -> bool:
        """Whether it is the user's own."""
        return self.source != BUNDLED


def folder() -> Path:
    """Where imported and downloaded models lie."""
    from napari_sesami.common.home import home

    return home() / "models"


def entries() -> list[Entry]:
    """Everything installed, the bundled models first."""
    own = sorted(folder().glob(f"*/{CARD}")) if folder().is_dir() else []
    read = (_read(card) for card in own if not card.parent.name.startswith("."))
    return [*_bundled(), *(entry for entry in read if entry is not None)]


def available() -> list[Known]:
    """What can be downloaded and is not installed."""
    here = {entry.name for entry in entries()}
    return [known for known in KNOWN if known.name not in here]


def find(name: str) -> Entry:
    """Find the installed model of that name."""
    for entry in entries():
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in entries()) or "none"
    hint = "; it can be downloaded" if any(k.name == name for k in KNOWN) else ""
    raise ModelError(f"There is no model “{name}” here{hint}; installed: {names}.")


def info(name: str) -> str:
    """Everything known of an installed or downloadable model, in lines for people."""
    known = next((k for k in available() if k.name == name), None)
    rows = _known_rows(known) if known is not None else _entry_rows(find(name))
    return "\n".join(f"{label + ':':14}{text}" for label, text in rows if text)


def _entry_rows(entry: Entry) -> list[tuple[str, str]]:
    return [
        ("Name", entry.name),
        ("Title", entry.title),
        ("Gives", _KINDS.get(entry.kind, entry.kind)),
        ("Architecture", entry.architecture),
        ("From", f"{entry.source}, {entry.origin}"),
        ("Licence", _licence(entry.licence, entry.non_commercial)),
        ("SHA-256", entry.sha256),
        ("Size", f"{entry.size / 1e6:.1f} MB"),
        ("Runs on", entry.device),
        ("File", str(entry.path)),
        ("Card", entry.card),
    ]


def _known_rows(known: Known) -> list[tuple[str, str]]:
    return [
        ("Name", known.name),
        ("Title", known.title),
        ("Gives", _KINDS.get(known.kind, known.kind)),
        ("From", f"not installed; {known.url}"),
        ("Licence", _licence(known.licence, known.non_commercial)),
        ("SHA-256", known.sha256 or _NO_CHECKSUM),
        ("Size", f"{known.size / 1e6:.1f} MB" if known.size else "not known"),
        ("Card", known.card),
    ]


_KINDS = {
    "prompt": "masks from prompts, and tokens",
    "tokens": "tokens",
    "features": "features, where training starts",
}


def _licence(text: str, non_commercial: bool) -> str:
    return f"{text} — NOT FOR COMMERCIAL USE" if non_commercial else text


def import_file(
    path: str | Path,
    name: str | None = None,
    licence: str = "",
    *,
    title: str = "",
    card: str = "",
    non_commercial: bool | None = None,
    origin: str | None = None,
    source: str = IMPORTED,
    options: Mapping[str, Any] | None = None,
) -> Entry:
    """Install weights from a file: checked, converted, and copied at one stroke.

    Parameters
    ----------
    path
        `.safetensors`, `.pth` or `.pt`; pickled code is refused, never run.
    name
        In the catalog; made from the file's name if not given.
    licence, non_commercial
        What is known; a licence with “NC” in it is taken as non-commercial.
    title, card
        For people.
    origin, source
        Where it came from.
    options
        For loading, e.g. `{"unit_pixels": True}` or `{"heads": 12}`.
    """
    from napari_sesami.models.weights import read_weights

    path = Path(path)
    state, facts = read_weights(path)
    kind, architecture, kept = identify(state, facts)
    name = _free_name(name or path.stem)
    told = dict(options or {})
    if kind == "prompt" and "medsam" in path.stem.lower():
        told.setdefault("unit_pixels", True)
    nc = re.search(r"\bNC\b|non-?commercial", licence, re.IGNORECASE) is not None
    facts_for_people = {
        "name": name,
        "title": title or name,
        "kind": kind,
        "architecture": architecture,
        "source": source,
        "origin": origin or str(path.resolve()),
        "licence": licence or UNKNOWN_LICENCE,
        "non_commercial": nc if non_commercial is None else non_commercial,
        "card": card or facts.get("card", ""),
        "options": told,
    }
    return _install(name, kept, facts, facts_for_people)


def _install(
    name: str,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    card: dict[str, Any],
) -> Entry:
    """Write weights and card beside the catalog, then move both in with one rename."""
    from napari_sesami.common.disk import write_json
    from napari_sesami.models.weights import sha256, write_weights

    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder(), prefix=".new-") as place:
        inside = Path(place) / name
        inside.mkdir()
        write_weights(inside / WEIGHTS, state, metadata)
        card["sha256"] = sha256(inside / WEIGHTS)
        card["size"] = (inside / WEIGHTS).stat().st_size
        write_json(inside / CARD, card)
        inside.rename(folder() / name)
    return find(name)


def identify(
    state: Mapping[str, Tensor], facts: Mapping[str, str]
) -> tuple[str, str, Mapping[str, Tensor]]:
    """Kind, architecture, and the weights without what is not needed.

    Weights that are no model are refused with a sentence.
    """
    from napari_sesami.models.imagenet import is_lite0, timm_state
    from napari_sesami.models.sam.config import SamConfig, build_sam, fit_state
    from napari_sesami.models.tokens.vit import (
        build_vit,
        is_vit,
        plain_vit_state,
        vit_title,
    )

    if "adapter" in facts:
        raise ModelError("An adapter is no model; choose it beside the model it fits.")
    if "nano" in facts:
        from napari_sesami.models.nano.model import Nano

        net = Nano.from_state(state, facts, device="cpu").net
        numbers = sum(p.numel() for p in net.parameters())
        kind = "tokens" if facts.get("gives") == "tokens" else "prompt"
        return kind, f"sesami-nano, {numbers / 1e6:.1f} M", state
    if any("image_encoder." in key for key in state):
        config = SamConfig.recognise(state)
        import torch

        with torch.device("meta"):  # shapes are enough to check
            wanted = build_sam(config)
        return "prompt", config.title, fit_state(state, wanted)
    if is_vit(state):
        heads = int(facts["heads"]) if "heads" in facts else None
        build_vit(state, heads)
        return "tokens", vit_title(state), plain_vit_state(state)
    if is_lite0(state) and facts.get("gives") == "tokens":
        return "tokens", "EfficientNet-Lite0, tuned", state
    if is_lite0(state):
        return "features", "EfficientNet-Lite0, 4.7 M", timm_state(state)
    sample = ", ".join(sorted(state)[:3])
    raise ModelError(
        f"These weights ({sample}, …) are of no model that can be used here; SAM, "
        "MedSAM, micro-sam, DINOv2, DINOv3, MAE, EfficientNet-Lite0 and own models can."
    )


def remove(name: str) -> None:
    """Delete an imported or downloaded model."""
    entry = find(name)
    if not entry.removable:
        raise ModelError(f"“{name}” comes with the package and cannot be removed.")
    gone = entry.path.parent.with_name(f".gone-{name}")
    entry.path.parent.rename(gone)  # at one stroke, however large
    shutil.rmtree(gone)


def verify(name: str) -> bool:
    """Whether the weights are still those that were installed."""
    from napari_sesami.models.weights import sha256

    entry = find(name)
    return entry.path.is_file() and sha256(entry.path) == entry.sha256


def download(
    name: str,
    progress: Progress | None = None,
    stop: IsCancelled | None = None,
    known: Known | None = None,
) -> Entry:
    """Fetch known weights over the network and install them; never called unasked.

    Parameters
    ----------
    name
        One of `available()`.
    progress
        Called with bytes done and bytes in all.
    stop
        Asked often; a stopped download is continued by the next one.
    known
        Another address than those in the table.
    """
    from napari_sesami.models.download import download as fetch

    if known is None:
        known = next((k for k in KNOWN if k.name == name), None)
    if known is None:
        names = ", ".join(k.name for k in KNOWN)
        raise ModelError(f"“{name}” is not known; can be downloaded: {names}.")
    if any(entry.name == known.name for entry in entries()):
        raise ModelError(f"“{known.name}” is installed already.")
    if known.sha256 is None:
        raise ModelError(
            f"The checksum of “{known.name}” is not known here, so what would come "
            f"could not be checked: fetch {known.url} yourself, compare it with what "
            f"its authors state, and import it: sesami models import FILE --name "
            f"{known.name}."
        )
    target = inside(folder().parent / "downloads", known.file_name)
    fetch(known.url, target, known.sha256, progress, stop)
    try:
        return import_file(
            target,
            known.name,
            known.licence,
            title=known.title,
            card=known.card,
            non_commercial=known.non_commercial,
            origin=known.url,
            source=DOWNLOADED,
        )
    finally:
        target.unlink(missing_ok=True)


def _free_name(wish: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", wish).strip("-.") or "model"
    if any(entry.name == name for entry in entries()):
        raise ModelError(
            f"There is a model “{name}” already; remove it or give another name."
        )
    return name


class _CardRow(TypedDict):
    """What a card says; keys of other versions are passed over."""

    title: str
    kind: str
    architecture: str
    source: str
    origin: str
    licence: str
    non_commercial: bool
    sha256: str
    size: int
    card: str
    options: dict[str, Any]


def _read(card: Path) -> Entry | None:
    """Read one card; a folder that somebody damaged is passed over."""
    try:
        place = inside(folder(), card.parent.name)
        known = read_checked(inside(place, CARD), _CardRow, ModelError, most=1 << 24)
        path = inside(place, WEIGHTS)
    except (OSError, SesamiError):
        return None
    return Entry(name=card.parent.name, path=path, **known) if path.is_file() else None


def _bundled() -> list[Entry]:
    """Weights in the package, with the card beside them."""
    place = Path(str(files("napari_sesami.models"))) / "weights"
    found = []
    for path in sorted(place.glob("*.safetensors")) if place.is_dir() else []:
        card = path.with_suffix(".json")
        told = read_checked(card, dict[str, Any]) if card.is_file() else {}
        found.append(_bundled_entry(path, told))
    return found


def _bundled_entry(path: Path, told: Mapping[str, Any]) -> Entry:
    from napari_sesami.models.weights import sha256

    return Entry(
        name=path.stem,
        title=told.get("title", path.stem),
        kind="prompt",
        architecture=told.get("architecture", path.stem),
        source=BUNDLED,
        origin="napari-sesami",
        licence=told.get("licence", "BSD-3-Clause"),
        non_commercial=False,
        sha256=told.get("sha256") or sha256(path),
        size=path.stat().st_size,
        card=told.get("card", "Trained by this project on procedural scans alone."),
        options={},
        path=path,
    )


def to_dict(entry: Entry) -> dict[str, Any]:
    """For JSON."""
    return {**asdict(entry), "path": str(entry.path)}
