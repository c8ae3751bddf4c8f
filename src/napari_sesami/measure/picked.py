"""From a quantity and picked classes to lines of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.kinds import KINDS
from napari_sesami.measure.recipe import MeasureRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LINES = ("ler", "lwr", "lpr")


def classes_for(kind: str) -> tuple[int, int]:
    """How many classes a quantity must and may be given."""
    about = KINDS[kind]
    if about.between:
        return min(about.between), max(about.between)
    many = 2 if "to" in about.needs else int("feature" in about.needs)
    return many, many


def with_quantity(
    recipe: MeasureRecipe,
    kind: str,
    picked: Sequence[str],
    labels: NDArray[Any] | None = None,
    ids: dict[str, int] | None = None,
    **fields: Any,
) -> tuple[MeasureRecipe, str]:
    """Add a quantity of picked classes to a recipe; gives it and the new name.

    Features of the same class are shared with what the recipe has. A film is measured
    object by object where its inner class is objects in the labels (y, x), else along
    its longest interface.
    """
    least, most = classes_for(kind)
    if not least <= len(picked) <= most:
        count = f"{least}" if least == most else f"{least} or {most}"
        raise MeasureError(
            f"A {kind} needs {count} class{'es' * (most > 1)}; {len(picked)} picked."
        )
    data = recipe.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    features = data.setdefault("features", {})
    entry: dict[str, Any] = {"kind": kind, **fields}
    form = "line" if kind in LINES or fields.get("edge", "50 %") != "50 %" else "object"

    def feature(class_: str) -> str:
        for name, spec in features.items():
            if spec == {"class": class_} | ({} if form == "object" else {"kind": form}):
                return str(name)
        name = class_ if class_ not in features else f"{class_} {form}"
        while name in features:
            name += "'"
        features[name] = {"class": class_}
        if form != "object":
            features[name]["kind"] = form
        return name

    if KINDS[kind].between:
        entry["between"] = list(picked)
        known = [(ids or {}).get(name, 0) for name in picked[:2]]
        if kind == "thickness" and _are_objects(labels, *known):
            entry["feature"] = feature(picked[0])
    elif picked:
        entry["feature"] = feature(picked[0])
        if len(picked) > 1:
            entry["to"] = feature(picked[1])
    subject = picked[1] if kind == "thickness" else " to ".join(picked)
    taken = {m.name for m in recipe.measure}
    name = base = f"{subject} {kind}".strip()
    number = 2
    while name in taken:
        name = f"{base} {number}"
        number += 1
    entry["name"] = name
    data.setdefault("measure", []).append(entry)
    data["needs"] = list(dict.fromkeys([*data.get("needs", ()), *picked]))
    return MeasureRecipe.of(data), name


def without_quantity(recipe: MeasureRecipe, name: str) -> MeasureRecipe:
    """Take a quantity out, and the features that nothing else speaks of."""
    left = tuple(m for m in recipe.measure if m.name != name)
    used = {f for m in left for f in (m.feature, m.to)} | {recipe.frame.axis.feature}
    features = {k: v for k, v in recipe.features.items() if k in used}
    needs = {f.class_ for f in features.values()} | {
        c for m in left for c in m.between or ()
    }
    needs |= set(recipe.frame.axis.level or ())
    return recipe.model_copy(
        update={
            "measure": left,
            "features": features,
            "needs": tuple(n for n in recipe.needs if n in needs),
        }
    )


def _are_objects(labels: NDArray[Any] | None, inner: int, film: int) -> bool:
    """Whether the film lies on several whole pieces of its inner class."""
    if labels is None or not inner:
        return False
    parts, count = ndimage.label(labels == inner)
    cut = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    near = ndimage.binary_dilation(labels == film)
    sizes = np.bincount(parts[near], minlength=count + 1)
    sizes[np.unique(np.append(cut, 0))] = 0
    return int((sizes > 20).sum()) >= 2
