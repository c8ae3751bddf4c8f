"""What an encoder is fine-tuned on: labelled defects, and whole lots that judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.classify.encoders import SHORT
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.groups import twin_groups
from napari_sesami.common.checked import read_checked
from napari_sesami.common.disk import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.defect import Defect

EACH = 20
"""Labels a class from which fine-tuning is worth its time."""
MOST_EACH = 200
"""Labels a class that are learnt from; more only take time."""
HELD = 0.3
"""Share of the labels that judges; never fewer than one lot."""
LEFT = 0.5
"""Share of its labels that every class keeps to learn from."""
SPLIT = "split.json"
RUNS = "napari_sesami.train"
"""The room that trains: it knows this one, so it is loaded by its name."""
RECIPE = "pairs-classifier"
STEPS, BATCH, RATE = 150, 16, 3e-4


@dataclass(frozen=True, eq=False)
class TuningLabels:
    """What an encoder can be tuned on.

    Attributes
    ----------
    defects
        Of the lot.
    labels
        Class of each labelled defect by its name.
    places
        Where each defect lies in the space of likeness; NaN without its picture.
    save
        Writes some of them into a folder, with their classes; see `Lot.save_folder`.
    """

    defects: Sequence[Defect]
    labels: Mapping[str, str]
    places: NDArray[np.float32]
    save: Callable[[Path, Mapping[str, str], Sequence[str]], list[str]]


def start_tuning(
    labels: TuningLabels,
    encoder: str,
    root: Path,
    steps: int,
    least: int,
    options: dict[str, Any],
) -> Any:
    """Start a run of the recipe on labels; see `Classifier.train`."""
    train = import_module(RUNS)
    kind = train.recipe_class(RECIPE).Config
    own = {f.name for f in fields(kind)}
    known = {f.name for f in fields(train.RunConfig)}
    for key in options.keys() - own - known:
        raise ClassifyError(
            f"Fine-tuning has no option {key!r}; it has {', '.join(sorted(own))}, and "
            "those of RunConfig."
        )
    theirs = {"encoder": SHORT.get(encoder, encoder)}
    theirs |= {k: v for k, v in options.items() if k in own}
    mine = {"batch": BATCH, "rate": RATE}
    mine |= {k: v for k, v in options.items() if k not in own}
    config = train.RunConfig(RECIPE, steps=steps, recipe_options=kind(**theirs), **mine)
    data = partial(write_tuning_set, labels, least=least, seed=config.seed)
    return train.Runs(root).start(config, data)


def tuned_encoder(lot: str, run: Any, insist: bool) -> tuple[str, str]:
    """Put what a run tuned into the catalog, if it won; give its name, and why.

    The name is empty if the frozen encoder stays.
    """
    from napari_sesami.models import catalog

    facts = run.facts
    path = run.folder / "adapter" / str(facts.get("weights", ""))
    if not facts or not path.is_file():
        raise ClassifyError(
            f"{run.name} has not finished, so there is nothing to take over."
        )
    told = str(facts.get("verdict", "The tuned encoder was not judged."))
    if not (facts.get("wins") or insist):
        return "", told
    begun = run.config.recipe_options.encoder
    name = f"{Path(begun).stem}-tuned-{run.folder.name}"
    if name not in {entry.name for entry in catalog.entries()}:
        catalog.import_file(
            path, name, "as the encoder that it was tuned from",
            title=f"{Path(begun).stem}, tuned on {lot}",
            card=f"Fine-tuned on {facts.get('learnt')} defects. {told}",
            origin=str(run.folder), non_commercial=False, source="trained",
        )  # fmt: skip
    return name, told


def write_tuning_set(
    source: TuningLabels, folder: Path, least: int = EACH, seed: int = 0
) -> None:
    """Write the labelled defects as a lot, and who of them judges.

    Raises
    ------
    ClassifyError
        A class has fewer labels than are needed.
    """
    readable = np.asarray(np.isfinite(source.places).all(1))
    at = {d.id: k for k, d in enumerate(source.defects)}
    labels = {i: n for i, n in source.labels.items() if readable[at[i]]}
    counts = Counter(labels.values())
    if len(counts) < 2:
        raise ClassifyError("Fine-tuning needs labels of two classes; label a second.")
    few = min(counts, key=lambda name: (counts[name], name))
    if counts[few] < least:
        raise ClassifyError(
            f"Fine-tuning needs {least} labels a class; {few} has {counts[few]}. Label "
            "more of it, or merge it with another class."
        )
    rng = np.random.default_rng(seed)
    taken: list[str] = []
    for name in counts:
        own = [i for i, n in labels.items() if n == name]
        taken += [own[k] for k in rng.permutation(len(own))[:MOST_EACH]]
    taken.sort(key=at.__getitem__)
    held = _held_out(source, [at[i] for i in taken], labels, rng)
    written = set(source.save(folder, labels, taken))
    write_json(folder / SPLIT, {"held": sorted(held & written)})


def read_split(folder: Path) -> frozenset[str]:
    """Give the names of the defects that judge."""
    found = read_checked(folder / SPLIT, dict[str, list[str]], ClassifyError)
    return frozenset(found.get("held", ()))


def _held_out(
    source: TuningLabels,
    rows: list[int],
    labels: Mapping[str, str],
    rng: np.random.Generator,
) -> set[str]:
    """Hold out whole lots, else wafers, else near duplicates together."""
    some = [source.defects[k] for k in rows]
    taken = [d.id for d in some]
    totals = Counter(labels[i] for i in taken)
    for units in (
        [d.lot for d in some],
        [d.wafer for d in some],
        [str(g) for g in twin_groups(source.places[rows])],
    ):
        kinds = sorted(set(units))
        if len(kinds) < 2:
            continue
        held: set[str] = set()
        for k in rng.permutation(len(kinds)):
            more = {i for i, u in zip(taken, units, strict=True) if u == kinds[k]}
            gone = Counter(labels[i] for i in held | more)
            enough = all(n - gone[name] >= LEFT * n for name, n in totals.items())
            if enough and len(held | more) <= max(HELD * len(taken), len(more)):
                held |= more
            if len(held) >= HELD * len(taken):
                break
        if held:
            return held
    raise ClassifyError(
        "No part of the labels can be held out to judge: every class needs labels in "
        "two lots, or in defects that are not copies of each other."
    )
