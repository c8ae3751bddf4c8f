"""Odd values put into every JSON file of the package; what comes out is counted.

``python -m tests.trust.odd`` prints the counts for docs/reliability.md.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.errors import SesamiError

if TYPE_CHECKING:
    from collections.abc import Callable

SCAN = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
VALUES = (
    None, True, -1, 0, 999, 1e300, 10**30, "", "x", "../../../etc/passwd", [], [1],
    {}, {"x": 1}, [[[]]], "javascript:1", float("nan"), ["y"],
)  # fmt: skip


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a JSON value."""
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += spots(item, (*path, key))
    if isinstance(value, list):
        for i, item in enumerate(value[:3]):
            found += spots(item, (*path, i))
    return found


def odd(value: Any, rng: np.random.Generator) -> Any:
    """Put an odd value at a place of it, or take the place away."""
    value = copy.deepcopy(value)
    places = spots(value)
    place = places[int(rng.integers(len(places)))]
    wrong = VALUES[int(rng.integers(len(VALUES)))]
    if not place:
        return wrong
    at = value
    for step in place[:-1]:
        at = at[step]
    if rng.random() < 0.2:
        del at[place[-1]]
    else:
        at[place[-1]] = wrong
    return value


def project(folder: Path) -> Path:
    """A project with everything that can lie in one."""
    from napari_sesami.session import Session

    with Session(SCAN, folder / "p.sesami") as session:
        session.classes.add("a")
        session.classes.add("b")
        strokes = np.zeros((48, 64), int)
        strokes[3:8, 3:30], strokes[40:46, 3:30] = 1, 2
        session.paint(strokes)
        mask = np.zeros((48, 64), bool)
        mask[20:30, 20:30] = True
        session.commit(mask, "a")
        session.save()
        told = {"sesami-nano": {"active": None, "before": ["x.safetensors"]}}
        session.document.project.write_json("adapters", "active.json", told)
        session.paint(np.ones((3, 3), int), at=(10, 10))  # stays in the journal
    return folder / "p.sesami"


def look(folder: Path) -> None:
    """Open a project and use all that it holds."""
    from napari_sesami.project import Project
    from napari_sesami.session import Session

    with Session(SCAN, folder) as session:
        session.labels, session.objects.values(), session.adapters.active
        [session.objects.mask(i) for i in session.objects]
        session.paint(np.ones((3, 3), int), at=(12, 12))
        session.save()
    with Project.open(folder) as again:
        again.missing()


def run_folder(folder: Path) -> Path:
    """A run with everything that can lie in one."""
    from napari_sesami.train import RunConfig
    from napari_sesami.train.engine.checkpoints import Checkpoints
    from napari_sesami.train.engine.fallback import Fallback
    from napari_sesami.train.run.folder import RunFolder
    from napari_sesami.train.sesami.gate import Verdict
    from napari_sesami.train.sesami.pictures import LabelledSet, Picture, write_set

    home = RunFolder.create(folder / "runs" / "one", RunConfig("sesami", device="cpu"))
    home.write_status({"state": "cancelled", "sentence": "x", "step": 3, "by": {}})
    events = [{"t": 1.0, "event": "started", "step": 0}]
    events += [{"t": 2.0, "event": "step", "step": 1, "loss": 0.5}]
    events += [{"t": 3.0, "event": "metrics", "metrics": {"score": 1.0}, "step": 1}]
    events += [{"t": 3.0, "event": "picture", "path": "pictures/a.png", "step": 1}]
    home.events.write_text("".join(json.dumps(e) + "\n" for e in events))
    Fallback(2).write(home.fallback)
    store = Checkpoints(home.checkpoints)
    store.save(1, {"facts.json": b"{}"})
    store.mark_best(1, 0.5)
    Verdict(True, "It is better.", [{"name": "a"}], {"mIoU": 0.5}).write(home.path)
    grey = np.zeros((20, 20), np.uint16)
    one = Picture(grey, grey.astype(np.uint8), grey.astype(np.int32))
    home.data.mkdir(exist_ok=True)
    write_set(home.data, LabelledSet((one,), {1: "a"}))
    return home.path


def look_at_run(folder: Path) -> None:
    """Read everything of a run; what is refused is refused part by part."""
    from napari_sesami.train import Runs, Verdict, read_set
    from napari_sesami.train.engine.checkpoints import Checkpoints
    from napari_sesami.train.engine.fallback import Fallback

    runs = Runs(folder.parent)
    for run in runs.list():
        run.status, run.events, run.metrics, run.curve(), run.pictures, run.facts
    parts: list[Callable[[], Any]] = [
        lambda: Fallback.read(folder / "ladder.json"),
        lambda: Checkpoints(folder / "checkpoints").newest(print),
        lambda: Checkpoints(folder / "checkpoints").best(),
        lambda: Verdict.read(folder),
        lambda: read_set(folder / "data"),
    ]
    refused = [str(text) for text in runs.unreadable.values()]
    for part in parts:
        try:
            part()
        except SesamiError as error:
            refused.append(str(error))
    if refused:
        raise SesamiError(refused[0])


def card_of_bank(folder: Path) -> Path:
    """A bank of three rows."""
    from safetensors.numpy import save_file

    card = {
        "encoder": "e", "encoder_key": "k", "patch": 16, "patch_size": 1.0,
        "unit": "nm", "normalisation": {"low": 0.0}, "source": "s", "format": 1,
        "classes": [{"id": 1, "name": "a", "color": "#ffffff"}],
    }  # fmt: skip
    tensors = {
        "tokens": np.zeros((3, 4), np.float16), "patches": np.zeros((3, 2, 2), "u1"),
        "where": np.zeros((3, 3), "i4"), "stroke": np.zeros(3, "i4"),
    }  # fmt: skip
    save_file(tensors, folder / "a.bank", {"card": json.dumps(card)})
    return folder / "a.bank"


def reheaded(path: Path, key: str, rng: np.random.Generator) -> None:
    """Put an odd value into the header of a safetensors file."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + size])
    card = odd(json.loads(head["__metadata__"][key]), rng)
    head["__metadata__"][key] = json.dumps(card)
    new = json.dumps(head).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + raw[8 + size :])


def outcome(action: Callable[[], Any]) -> str:
    """Say what came of it: "fine", "sentence", or "foreign" with its name."""
    try:
        action()
    except SesamiError as error:
        return "foreign: a sentence of lines" if "\n" in str(error) else "sentence"
    except Exception as error:
        if os.environ.get("TELL"):
            traceback.print_exc()
        return f"foreign: {type(error).__name__}: {error}"
    return "fine"


def main(count: int = 240, seed: int = 20261128) -> dict[str, Counter[str]]:
    """Try so many odd values over all files; count the outcomes by file."""
    from napari_sesami.models import catalog, read_card
    from napari_sesami.retrieve import load_bank

    rng = np.random.default_rng(seed)
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["SESAMI_HOME"] = str(root / "home")
        first, run = project(root / "a"), run_folder(root / "b")
        bank = card_of_bank(root)
        entry = catalog.folder() / "own"
        entry.mkdir(parents=True)
        (entry / "weights.safetensors").write_bytes(b"x")
        texts = ("title", "kind", "architecture", "source", "origin", "licence", "card")
        card = dict.fromkeys(texts, "x") | {"non_commercial": False, "sha256": "0"}
        (entry / "card.json").write_text(json.dumps(card | {"size": 1, "options": {}}))
        kinds: list[tuple[Path, str, Callable[[Path], Any]]] = [
            *((first, n, look) for n in json_files(first)),
            *((run, n, look_at_run) for n in json_files(run)),
            (bank, "", lambda path: load_bank(path)),
            (entry.parent, "own/card.json", lambda path: catalog.entries()),
        ]
        del read_card
        for number in range(count):
            source, name, action = kinds[number % len(kinds)]
            target = root / "try" / source.name
            if source == entry.parent:
                target = source
            else:
                shutil.rmtree(root / "try", ignore_errors=True)
                (root / "try").mkdir()
                copied = shutil.copytree if source.is_dir() else shutil.copyfile
                copied(source, target)
            if not name:
                reheaded(target, "card", rng)
            else:
                spoil(target / name, rng)
            label = f"{source.name}/{name}" if name else source.name
            result = outcome(lambda a=action, t=target: a(t))
            found.setdefault(label, Counter())[result] += 1
            if source == entry.parent:
                text = json.dumps(card | {"size": 1, "options": {}})
                (entry / "card.json").write_text(text)
    return found


def json_files(folder: Path) -> list[str]:
    """Names of the JSON files in a folder, and of those with a JSON object a line."""
    files = [*folder.rglob("*.json"), *folder.rglob("*.jsonl")]
    return sorted(p.relative_to(folder).as_posix() for p in files)


def spoil(path: Path, rng: np.random.Generator) -> None:
    """Put an odd value into a file."""
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        at = int(rng.integers(len(lines)))
        lines[at] = odd(lines[at], rng)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return
    path.write_text(json.dumps(odd(json.loads(path.read_text()), rng)))


if __name__ == "__main__":
    total: Counter[str] = Counter()
    for label, outcomes in main(int(sys.argv[1]) if len(sys.argv) > 1 else 240).items():
        print(label, dict(outcomes))
        total.update({k.partition(":")[0]: v for k, v in outcomes.items()})
    print("total", dict(total))
