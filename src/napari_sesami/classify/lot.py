"""A lot: the defects of one or several inspections, opened without reading a pixel."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sesami.classify.defect import Defect, DefectClass
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.sources.deeppcb import defects_of_deeppcb, is_deeppcb
from napari_sesami.classify.sources.klarf import (
    Klarf,
    defects_of_klarf,
    is_klarf,
    read_klarf,
)
from napari_sesami.classify.sources.regions import defects_of_boxes, defects_of_labels
from napari_sesami.classify.sources.table import (
    defects_of_folder,
    defects_of_table,
    tables_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sesami.classify.classifier import Classifier
    from napari_sesami.classify.decide import Decisions
    from napari_sesami.classify.picture import Box
    from napari_sesami.scan import Scan


@dataclass
class Lot:
    """Defects in a fixed order; pictures are read when they are asked for.

    Attributes
    ----------
    defects
        In the order of the file.
    name
        For people.
    path
        The file or folder that it was opened from, or None.
    classes
        What the file knows of classes, in its order.
    problems
        What is amiss, a sentence each; the rest can be used.
    klarf
        The file to write class numbers back to, or None.
    """

    defects: list[Defect]
    name: str = "lot"
    path: Path | None = None
    classes: list[DefectClass] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    klarf: Klarf | None = None

    def __post_init__(self) -> None:
        known = {c.name for c in self.classes}
        for defect in self.defects:
            if defect.label is not None and defect.label not in known:
                known.add(defect.label)
                self.classes.append(DefectClass(defect.label))

    def __len__(self) -> int:
        return len(self.defects)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where in the lot each name stands."""
        return {defect.id: k for k, defect in enumerate(self.defects)}

    def position(self, name: str) -> int:
        """Find a defect by its name."""
        try:
            return self.positions[name]
        except KeyError:
            raise ClassifyError(
                f"{self.name} has no defect {name!r}; it has {len(self)}, the first is "
                f"{self.defects[0].id!r}."
                if self.defects
                else f"{self.name} has no defects."
            ) from None

    @classmethod
    def from_boxes(
        cls,
        scan: Scan,
        boxes: Sequence[Box],
        labels: Sequence[str | None] | None = None,
        plane: int = 0,
    ) -> Lot:
        """Cut a defect around every box (y0, x0, y1, x1) of a plane of a scan."""
        return cls(defects_of_boxes(scan, boxes, labels, plane), scan.name)

    @classmethod
    def from_labels(
        cls, scan: Scan, labels: NDArray, names: Mapping[int, str], plane: int = 0
    ) -> Lot:
        """Take every separate object of the named classes for a defect."""
        return cls(defects_of_labels(scan, labels, names, plane), scan.name)

    @classmethod
    def joined(cls, lots: Sequence[Lot]) -> Lot:
        """Put lots into one; names get the lot's in front where they clash."""
        if len(lots) == 1:
            return lots[0]
        counts: defaultdict[str, int] = defaultdict(int)
        for lot in lots:
            for defect in lot.defects:
                counts[defect.id] += 1
        defects, problems = [], []
        classes: dict[str, DefectClass] = {}
        for number, lot in enumerate(lots, start=1):
            own = lot.name
            if [other.name for other in lots].count(own) > 1:
                own = f"{own} ({number})"
            for defect in lot.defects:
                name = f"{own}/{defect.id}" if counts[defect.id] > 1 else defect.id
                defects.append(replace(defect, id=name, lot=defect.lot or own))
            problems += [f"{own}: {p}" for p in lot.problems]
            for known in lot.classes:
                classes.setdefault(known.name, known)
        names = ", ".join(lot.name for lot in lots[:3])
        more = f" and {len(lots) - 3} more" if len(lots) > 3 else ""
        return cls(defects, names + more, None, list(classes.values()), problems)

    def twins(self) -> list[list[int]]:
        """Find defects that are the same: equal files, or one place in two lots.

        Returns
        -------
        list of list of int
            Positions of defects that are one, first come first; files are compared by
            their bytes only where their sizes are equal.
        """
        same: dict[Any, list[int]] = defaultdict(list)
        sizes: dict[tuple[int, Any], list[tuple[int, Path]]] = defaultdict(list)
        for k, defect in enumerate(self.defects):
            if defect.xy is not None:
                place = (defect.wafer, *(round(v, 3) for v in defect.xy))
                same["place", place].append(k)
            picture = defect.high or defect.low
            if picture is None or picture.scan is not None:
                continue
            try:
                path = picture.path
                assert path is not None
                cut = (picture.page, picture.plane, picture.box)
                sizes[path.stat().st_size, cut].append((k, path))
            except (OSError, ValueError):
                continue  # a missing picture is no twin
        digests: dict[Path, bytes] = {}
        for (_, cut), several in sizes.items():
            if len(several) < 2:
                continue
            for k, path in several:
                if path not in digests:
                    try:
                        digests[path] = _digest(path)
                    except OSError:
                        continue
                same["file", digests[path], cut].append(k)
        groups = {tuple(found) for found in same.values() if len(found) > 1}
        return [list(group) for group in sorted(groups)]

    def classifier(
        self, folder: str | os.PathLike[str] | None = None, **options: Any
    ) -> Classifier:
        """Sort these defects; with a folder, labels are kept there as they are given.

        See `Classifier` for the options.
        """
        from napari_sesami.classify.classifier import Classifier

        return Classifier(self, folder=folder, **options)

    def save_folder(
        self,
        folder: str | os.PathLike[str],
        labels: Mapping[str, str | None],
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Write defects (None: all) as a folder with a table; `open_lot` opens it.

        Pictures are written as encoders see them, up to 224 pixels. Gives the names
        of those that were written; one with a broken picture is left out.
        """
        from napari_sesami.classify.outputs import save_folder

        wanted = [d.id for d in self.defects] if ids is None else ids
        return save_folder(self, Path(folder), labels, wanted)

    def save_csv(self, path: str | os.PathLike[str], decisions: Decisions) -> Path:
        """Write a table of defects with class, confidence and who decided."""
        from napari_sesami.classify.outputs import save_csv

        return save_csv(Path(path), self, decisions)

    def save_json(self, path: str | os.PathLike[str], decisions: Decisions) -> Path:
        """Write the same as JSON, with where it comes from."""
        from napari_sesami.classify.outputs import save_json

        return save_json(Path(path), self, decisions)

    def save_klarf(
        self,
        path: str | os.PathLike[str],
        decisions: Decisions,
        numbers: Mapping[str, int] | None = None,
        *,
        unknown: int | None = None,
        add_classes: bool = False,
    ) -> Path:
        """Write the KLARF again with nothing but class numbers changed.

        Parameters
        ----------
        path
            The new file; the one that was opened stays as it is.
        decisions
            What was decided; where it is unknown, the number stays.
        numbers
            CLASSNUMBER of classes that ClassLookup does not name.
        unknown
            Number for what is unknown, e.g. 0, instead of the old one.
        add_classes
            Add lines to ClassLookup for classes that it does not have.
        """
        from napari_sesami.classify.outputs import save_klarf

        return save_klarf(
            Path(path), self, decisions, numbers, unknown=unknown,
            add_classes=add_classes,
        )  # fmt: skip


def open_lot(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    order: Sequence[str] | None = None,
) -> Lot:
    """Open a lot of defects; no pixel is read.

    Parameters
    ----------
    path
        A KLARF 1.x, a CSV, a folder with a CSV or with pictures, a folder in DeepPCB's
        layout; or several of them, which become one.
    order
        Which view each picture of a KLARF's list is, e.g. ``("high", "low")``.

    Raises
    ------
    ClassifyError
        There is no lot; one sentence.
    """
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        several = [open_lot(one, order=order) for one in path]
        if not several:
            raise ClassifyError("No lot was given; name a KLARF, a table or a folder.")
        return Lot.joined(several)
    where = Path(path)
    if where.is_dir():
        return _of_folder(where, order)
    if not where.is_file():
        raise ClassifyError(f"There is no {where}; check the name and the disk.")
    if where.suffix.lower() == ".csv":
        defects, problems = defects_of_table(where)
        lot = Lot(defects, where.parent.name or where.stem, where, problems=problems)
    elif is_klarf(where):
        klarf = read_klarf(where)
        defects, classes, problems = defects_of_klarf(klarf, order)
        name = next((d.lot for d in defects if d.lot), where.stem)
        lot = Lot(defects, name, where, classes, problems, klarf)
    else:
        raise ClassifyError(
            f"{where.name} is neither a KLARF (it does not begin with FileVersion) nor "
            "a CSV; give one of them, or a folder of pictures."
        )
    return _not_empty(lot)


def _of_folder(where: Path, order: Sequence[str] | None) -> Lot:
    tables = tables_of(where)
    if tables:
        defects, problems = defects_of_table(tables[0])
        return _not_empty(Lot(defects, where.name, where, problems=problems))
    klarfs = sorted(p for p in where.iterdir() if p.is_file() and is_klarf(p))
    if klarfs:
        return Lot.joined([open_lot(p, order=order) for p in klarfs])
    if is_deeppcb(where):
        return Lot(defects_of_deeppcb(where), where.name, where)
    return _not_empty(Lot(defects_of_folder(where), where.name, where))


def _not_empty(lot: Lot) -> Lot:
    if not lot.defects:
        raise ClassifyError(
            f"{lot.path} names no defect; give a KLARF with a DefectList, a table with "
            "a column high, or a folder with pictures."
        )
    return lot


def _digest(path: Path) -> bytes:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
