"""KLARF 1.x: defects of a wafer with positions, class numbers and picture lists.

The file is taken as bytes and never written anew: what this reader does not know stays
as it is, and writing back replaces the tokens of CLASSNUMBER alone. The order of the
columns is that of each file's own DefectRecordSpec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sesami.classify.defect import Defect, DefectClass
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.picture import DefectPicture
from napari_sesami.common.inside import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MOST_BYTES = 2**30
ENDINGS = (".001", ".000", ".klarf", ".kla", ".krf")
_TOKEN = re.compile(rb'"[^"]*"|;|\n|[^\s;"]+')
ORDERS = {1: ("high",), 2: ("low", "high"), 3: ("low", "high", "template")}
"""Which view each picture of a list is, by their number, unless told otherwise."""


@dataclass(slots=True)
class KlarfRecord:
    """One line of a DefectList: its values, and where CLASSNUMBER stands."""

    values: list[bytes]
    spec: tuple[str, ...]
    span: tuple[int, int]
    images: list[int]
    tiff: str = ""
    lot: str = ""
    wafer: str = ""

    def value(self, column: str) -> bytes | None:
        """Give the value of a column, None where this file has no such column."""
        return self.values[self.spec.index(column)] if column in self.spec else None


@dataclass
class Klarf:
    """A file as it is, with what was found in it."""

    path: Path
    data: bytes
    records: list[KlarfRecord] = field(default_factory=list)
    lookup: dict[int, str] = field(default_factory=dict)
    lookup_count: tuple[int, int] = (0, 0)
    lookup_end: int = 0
    pitch: tuple[float, float] | None = None
    centre: tuple[float, float] = (0.0, 0.0)
    tiff_per_defect: bool = False

    def with_classes(
        self, numbers: Mapping[int, int], added: Mapping[int, str] | None = None
    ) -> bytes:
        """Give the file with other class numbers; every other byte is the same.

        Parameters
        ----------
        numbers
            Position of a record to its new CLASSNUMBER.
        added
            Lines to add to ClassLookup; without them it stays as it is.
        """
        edits = [
            (self.records[k].span, str(number).encode())
            for k, number in numbers.items()
            if int(self.records[k].value("CLASSNUMBER") or b"0") != number
        ]
        if added:
            if not self.lookup_end:
                raise ClassifyError(
                    f"{self.path.name} has no ClassLookup to add classes to; give the "
                    "numbers of the classes instead."
                )
            count = str(len(self.lookup) + len(added)).encode()
            edits.append((self.lookup_count, count))
            newline = b"\r\n" if b"\r\n" in self.data else b"\n"
            lines = b"".join(
                newline + b' %d "%s"' % (n, name.replace('"', "'").encode())
                for n, name in added.items()
            )
            edits.append(((self.lookup_end, self.lookup_end), lines))
        parts, at = [], 0
        for (start, end), text in sorted(edits):
            parts += [self.data[at:start], text]
            at = end
        return b"".join([*parts, self.data[at:]])


def is_klarf(path: Path) -> bool:
    """Tell by the first words of the file."""
    try:
        with path.open("rb") as file:
            head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError:
        return False
    return head[:11].lower() == b"fileversion" or bool(re.match(rb"Record\s", head))


def read_klarf(path: Path) -> Klarf:
    """Read a KLARF 1.x.

    Raises
    ------
    ClassifyError
        It is another kind of file, one of 1.8, or broken; the sentence says where.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ClassifyError(
                f"{path} is larger than a KLARF can be; check the name."
            )
        data = path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise ClassifyError(f"{path} cannot be read ({why}).") from error
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:7].lower() == b"record ":
        raise ClassifyError(
            f"{path.name} is a KLARF of 1.8 (nested records); export it as KLARF 1.2, "
            "which the inspection tool or the yield system offers."
        )
    if not is_klarf(path):
        raise ClassifyError(
            f"{path.name} does not begin with FileVersion, so it is no KLARF."
        )
    return _KlarfParser(path, data).parse()


class _KlarfParser:
    """Walks the tokens of a file once."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.klarf = Klarf(path, data)
        self.tokens = _TOKEN.finditer(data)
        self.spec: tuple[str, ...] = ()
        self.lot = self.wafer = self.tiff = ""
        self.first_tiff = self.first_list = -1
        self.tiffs = 0
        self.waiting: list[KlarfRecord] = []

    def parse(self) -> Klarf:
        klarf = self.klarf
        for token in self.tokens:
            word = token[0]
            if word in (b"\n", b";"):
                continue
            name = word.lower()
            if name == b"defectlist":
                self._defects(token.start())
            elif name == b"classlookup":
                self._lookup()
            else:
                rest = self._statement()
                self._take(name, rest, token.start())
        if not klarf.records and self.first_list < 0:
            raise ClassifyError(
                f"{klarf.path.name} has no DefectList: it names no defect."
            )
        klarf.tiff_per_defect = self.tiffs > 1
        return klarf

    def _statement(self) -> list[bytes]:
        found = []
        for token in self.tokens:
            if token[0] == b";":
                break
            if token[0] != b"\n":
                found.append(token[0])
        return found

    def _take(self, name: bytes, rest: list[bytes], at: int) -> None:
        klarf = self.klarf
        if name == b"lotid" and rest:
            self.lot = text_of(rest[0])
        elif name == b"waferid" and rest:
            self.wafer = text_of(rest[0])
        elif name == b"diepitch" and len(rest) >= 2:
            klarf.pitch = (self._number(rest[0]), self._number(rest[1]))
        elif name == b"samplecenterlocation" and len(rest) >= 2:
            klarf.centre = (self._number(rest[0]), self._number(rest[1]))
        elif name == b"defectrecordspec":
            spec = tuple(text_of(w).upper() for w in rest[1:])
            if not spec or not rest[0].isdigit() or int(rest[0]) != len(spec):
                raise ClassifyError(
                    f"DefectRecordSpec of {klarf.path.name} states "
                    f"{text_of(rest[0]) if rest else 'nothing'}, but names {len(spec)} "
                    "columns; the file is damaged."
                )
            if "DEFECTID" not in spec or "CLASSNUMBER" not in spec:
                raise ClassifyError(
                    f"DefectRecordSpec of {klarf.path.name} has no DEFECTID or no "
                    "CLASSNUMBER; nothing could be written back to it."
                )
            self.spec = spec
        elif name == b"tifffilename" and rest:
            self._new_tiff(text_of(b" ".join(rest)), at)

    def _new_tiff(self, name: str, at: int) -> None:
        """A file of pictures: of the defects after it, or before it in some files."""
        self.tiffs += 1
        if self.first_tiff < 0:
            self.first_tiff = at
        self.tiff = name
        if self.first_list >= 0 and self.first_tiff > self.first_list:
            for record in self.waiting:
                record.tiff = name
            self.waiting = []
            self.tiff = ""

    def _lookup(self) -> None:
        klarf, words = self.klarf, []
        for token in self.tokens:
            if token[0] == b";":
                break
            if token[0] != b"\n":
                words.append(token)
        if not words:
            return
        klarf.lookup_count = words[0].span()
        for number, name in zip(words[1::2], words[2::2], strict=False):
            klarf.lookup[int(self._number(number[0]))] = text_of(name[0])
        klarf.lookup_end = words[-1].end()

    def _defects(self, at: int) -> None:
        if not self.spec:
            raise ClassifyError(
                f"{self.klarf.path.name} lists defects before it says in which order "
                "their values stand (DefectRecordSpec); the file is damaged."
            )
        if self.first_list < 0:
            self.first_list = at
        spec, wanted = self.spec, len(self.spec)
        column = spec.index("CLASSNUMBER")
        listed = spec.index("IMAGELIST") if "IMAGELIST" in spec else -1
        counted = spec.index("IMAGECOUNT") if "IMAGECOUNT" in spec else -1
        values: list[bytes] = []
        span, left = (0, 0), 0
        images: list[int] = []
        records = self.klarf.records

        def done() -> None:
            nonlocal values, images
            record = KlarfRecord(
                values, spec, span, images, self.tiff, self.lot, self.wafer
            )
            records.append(record)
            self.waiting.append(record)
            values, images = [], []

        for token in self.tokens:
            word = token[0]
            ends = word == b"\n" or word == b";"
            if ends:
                # no pictures: some files leave the list's own count out
                if values and len(values) == listed == wanted - 1:
                    if counted < 0 or values[counted] == b"0":
                        values.append(b"0")
                        done()
                if word == b";":
                    break
                continue
            if left:
                images.append(self._whole(word, len(records)))
                left -= 1
                if not left:
                    done()
                continue
            if not values and word.lower() == b"tifffilename":
                self._new_tiff(text_of(b" ".join(self._statement())), token.start())
                continue
            if len(values) == column:
                span = token.span()
                self._whole(word, len(records))
            values.append(word)
            if len(values) == wanted:
                if listed == wanted - 1:
                    left = 2 * self._whole(word, len(records))
                if not left:
                    done()
        if values or left:
            raise ClassifyError(
                f"Record {len(records) + 1} of the DefectList of "
                f"{self.klarf.path.name} has {len(values)} values where "
                f"{wanted} are announced; the file is damaged."
            )

    def _whole(self, word: bytes, record: int) -> int:
        try:
            return int(word)
        except ValueError:
            raise ClassifyError(
                f"Record {record + 1} of the DefectList of {self.klarf.path.name} has "
                f"{text_of(word)[:40]!r} where a whole number must stand; the file is "
                "damaged."
            ) from None

    def _number(self, word: bytes) -> float:
        try:
            return float(word)
        except ValueError:
            raise ClassifyError(
                f"{self.klarf.path.name} has {text_of(word)[:40]!r} where a number "
                "must stand; the file is damaged."
            ) from None


def text_of(word: bytes) -> str:
    """Take a token as text, without its quotes, in UTF-8 or else in Latin-1."""
    bare = word[1:-1] if word[:1] == b'"' else word
    try:
        return bare.decode()
    except UnicodeDecodeError:
        return bare.decode("latin-1")


def defects_of_klarf(
    klarf: Klarf, order: Sequence[str] | None = None
) -> tuple[list[Defect], list[DefectClass], list[str]]:
    """Give defects, classes and what is amiss, in the order of the records.

    Parameters
    ----------
    klarf
        A file.
    order
        Which view each picture of a defect is, e.g. ``("high", "low")``.
    """
    folder, problems = klarf.path.parent, []
    # positions count from 1, unless a file shows that it counts from 0
    base = 0 if any(0 in record.images[::2] for record in klarf.records) else 1
    names = {record.tiff for record in klarf.records}
    for name in sorted(names - {""}):
        try:
            plain_name(name)
        except ValueError:
            problems.append(f"{name[:80]!r} leads out of the folder: it is not opened")
            names.discard(name)
            continue
        if not (folder / name).is_file():
            problems.append(f"The pictures {name} are missing")
    defects, wrong = [], 0
    seen: dict[str, int] = {}
    for record in klarf.records:
        own = text_of(record.value("DEFECTID") or b"")
        if own in seen:
            seen[own] += 1
            own = f"{own}-{seen[own]}"
        else:
            seen[own] = 1
        pages: list[DefectPicture] = []
        if record.tiff in names and record.tiff:
            if record.images:
                numbers = [p - base for p in record.images[::2]]
                pages = [
                    DefectPicture(record.tiff, folder, page=p)
                    for p in numbers
                    if p >= 0
                ]
            elif klarf.tiff_per_defect:
                pages = [DefectPicture(record.tiff, folder)]
        views = order or ORDERS.get(len(pages), ORDERS[3])
        wrong += len(pages) > len(views)
        number = int(record.value("CLASSNUMBER") or b"0")
        label = klarf.lookup.get(number, f"class {number}") if number else None
        defects.append(
            Defect(
                own,
                lot=record.lot, wafer=record.wafer, label=label,
                labelled_by="file" if label else "", xy=_place(klarf, record),
                size=_size(record), **dict(zip(views, pages, strict=False)),
            )
        )  # fmt: skip
    repeated = sum(n > 1 for n in seen.values())
    if repeated:
        problems.append(f"{repeated} numbers of defects are given more than once")
    if wrong:
        problems.append(
            f"{wrong} defects have more pictures than views; tell which is which"
        )
    used = {int(r.value("CLASSNUMBER") or b"0") for r in klarf.records} - {0}
    book = {n: t for n, t in klarf.lookup.items() if n} | {
        n: f"class {n}" for n in sorted(used - set(klarf.lookup))
    }
    return defects, [DefectClass(t, n) for n, t in book.items()], problems


def _place(klarf: Klarf, record: KlarfRecord) -> tuple[float, float] | None:
    """Position on the wafer from its centre, in µm."""
    try:
        rel = [float(record.value(c) or b"nan") for c in ("XREL", "YREL")]
        die = [float(record.value(c) or b"0") for c in ("XINDEX", "YINDEX")]
    except ValueError:
        return None
    pitch = klarf.pitch or (0.0, 0.0)
    x, y = (
        r + i * p - c for r, i, p, c in zip(rel, die, pitch, klarf.centre, strict=True)
    )
    return None if x != x or y != y else (x, y)


def _size(record: KlarfRecord) -> float | None:
    try:
        value = float(record.value("DSIZE") or b"nan")
    except ValueError:
        return None
    return None if value != value else value
