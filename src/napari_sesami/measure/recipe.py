"""Measurement recipes: what is measured on every scan of a lot, as a TOML file.

Classes and features are meant by name. A mistake is told with its line and, for a word
that is not known, the nearest one that is.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from napari_sesami.common.disk import write_atomic
from napari_sesami.measure.errors import MeasureError
from napari_sesami.measure.kinds import KINDS
from napari_sesami.scan import LENGTHS

FORMAT = "sesami-measure"
VERSION = 1


class _RecipePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Pair = Annotated[tuple[float, float], BeforeValidator(_pair)]


class Limits(_RecipePart):
    """Bounds of a value in the unit of the recipe; what is left out does not bound."""

    lower: float | None = None
    target: float | None = None
    upper: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        given = [v for v in (self.lower, self.target, self.upper) if v is not None]
        if given != sorted(given):
            raise ValueError("lower, target and upper must rise")
        return self


class ScaleSpec(_RecipePart):
    """How well lengths are known.

    Attributes
    ----------
    u_rel
        Standard uncertainty of the pixel size over itself.
    distortion_rel
        The same for what scan drift and lenses do across a picture.
    cut_deg
        Largest angle by which the cut may be off the normal.
    source
        Where that is known from.
    """

    u_rel: float | None = Field(default=None, ge=0, lt=1)
    distortion_rel: float = Field(default=0.0, ge=0, lt=1)
    cut_deg: float = Field(default=0.0, ge=0, lt=45)
    source: str = ""


class AxisSpec(_RecipePart):
    """What turns the frame: an interface, an angle, or the features' own direction."""

    level: tuple[str, str] | None = None
    angle: float | None = None
    feature: str | None = None


class FrameSpec(_RecipePart):
    """Origin and axes; by default those of the picture."""

    axis: AxisSpec = AxisSpec()
    origin: Literal["axis", "picture"] = "picture"


class Expect(_RecipePart):
    """How many instances there must be; a missing one is a failure of the scan."""

    count: int | None = Field(None, ge=0)
    rows: int | None = Field(None, ge=0)
    columns: int | None = Field(None, ge=0)


def _expected(value: Any) -> Any:
    return {"count": value} if isinstance(value, int) else value


class FeatureSpec(_RecipePart):
    """What is looked for: instances of a class, with limits of size and place."""

    class_: str = Field(alias="class")
    kind: Literal["object", "line", "band", "hole", "bump", "wire"] = "object"
    area_nm2: Pair | None = None
    area_um2: Pair | None = None
    area_px: Pair | None = None
    depth: Pair | None = None
    within: tuple[int, int, int, int] | None = None
    like: Pair | None = None
    index: Literal["lattice"] | None = None
    expect: Annotated[Expect | None, BeforeValidator(_expected)] = None
    uses_unit: bool = Field(True, exclude=True)

    def area_range(self, unit: str, pixel: float) -> tuple[float, float]:
        """Give the limits of area in square steps of a scan with this pixel."""
        if self.area_px is not None:
            return self.area_px
        for given, name in ((self.area_nm2, "nm"), (self.area_um2, "µm")):
            if given is not None and unit in LENGTHS:
                step = (LENGTHS[name] / LENGTHS[unit] / pixel) ** 2
                return given[0] * step, given[1] * step
        return 0.0, float("inf")


ZONES = ("north", "south", "east", "west", "all")


def _zones(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: (v,) if isinstance(v, str) else tuple(v) for k, v in value.items()}
    return value


class Measurement(_RecipePart):
    """One quantity of a recipe.

    Attributes
    ----------
    name
        What its values are called.
    kind
        A key of `KINDS`.
    feature, to
        Names of the feature, and of a second one.
    between
        Class names from inside to outside, for films and levels.
    at
        Depths as shares of the height.
    window
        Share of the height that one value averages over.
    zones
        Name → directions of the outer normal, for films.
    report
        Statistics over features that become rows of their own.
    along
        Direction of a pitch.
    period
        Of pitch walking.
    limits
        In the unit of the recipe.
    of
        "piece": this piece, in this picture; "process": roughness counts as error.
    edge, level
        How an edge is defined; "50 %" is the middle of the fitted step.
    offset, offset_u
        Taken off the value, in the unit of the recipe, and its uncertainty.
    film_grey
        Grey of a film too thin to show it, from a thick place.
    least
        Fewest instances a statistic is made of.
    ends, rows
        Of a caliper: both ends, as (y, x) in pixels, or with a feature as (depth,
        across) from its middle; and over how many pixels across the line it averages.
    """

    name: str = Field(min_length=1)
    kind: str
    feature: str | None = None
    to: str | None = None
    between: tuple[str, ...] | None = None
    at: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    window: float = Field(0.1, gt=0, le=1)
    zones: Annotated[
        dict[str, tuple[Literal["north", "south", "east", "west", "all"], ...]] | None,
        BeforeValidator(_zones),
    ] = None
    report: tuple[
        Literal["mean", "3s", "min", "max", "range", "conformality", "coverage"], ...
    ] = ("mean",)
    along: Literal["row", "column"] = "row"
    period: Literal[2, 4] | None = None
    limits: Limits | None = None
    of: Literal["piece", "process"] = "piece"
    edge: Literal["50 %", "flank", "threshold", "peak", "model"] = "50 %"
    level: float = Field(0.5, gt=0, lt=1)
    offset: float = 0.0
    offset_u: float = Field(0.0, ge=0)
    film_grey: float | None = None
    least: int = Field(1, ge=1)
    ends: Annotated[tuple[Pair, Pair] | None, BeforeValidator(_pair)] = None
    rows: float = Field(16.0, ge=4, le=400)

    @model_validator(mode="after")
    def _complete(self) -> Measurement:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not known{_nearest(self.kind)}")
        for field in KINDS[self.kind].needs:
            if getattr(self, field) is None:
                raise ValueError(f"a {self.kind} needs {field!r}")
        wanted = KINDS[self.kind].between
        if wanted and self.between is not None and len(self.between) not in wanted:
            numbers = " or ".join(map(str, wanted))
            raise ValueError(f"between of a {self.kind} names {numbers} classes")
        return self


class LotSpec(_RecipePart):
    """Where lot, wafer and site of a scan are read from."""

    pattern: str | None = None
    sites: str | None = None


class MeasureRecipe(_RecipePart):
    """Everything that is measured on a scan.

    Examples
    --------
    >>> recipe = MeasureRecipe.loads('''
    ... format = "sesami-measure"
    ... version = 1
    ... name = "fins"
    ... [features.fin]
    ... class = "silicon"
    ... [[measure]]
    ... name = "fin CD"
    ... kind = "cd"
    ... feature = "fin"
    ... ''')
    >>> recipe.check({"oxide": 1})
    ['the class "silicon"']
    """

    format: Literal["sesami-measure"] = "sesami-measure"
    version: int = VERSION
    name: str = "recipe"
    unit: Literal["pm", "Å", "nm", "µm", "mm"] = "nm"
    needs: tuple[str, ...] = ()
    sigma_px: float | None = Field(default=None, gt=0.2, lt=10)
    scale: ScaleSpec = Field(default_factory=ScaleSpec)
    frame: FrameSpec = FrameSpec()
    features: dict[str, FeatureSpec] = Field(default_factory=dict)
    measure: tuple[Measurement, ...] = ()
    lot: LotSpec = LotSpec()

    @model_validator(mode="after")
    def _names_are_there(self) -> MeasureRecipe:
        names = [m.name for m in self.measure]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two measurements are named {name!r}")
        for m in self.measure:
            for wanted in (m.feature, m.to):
                if wanted is not None and wanted not in self.features:
                    raise ValueError(
                        f"feature {wanted!r} of {m.name!r} is not defined"
                        f"{_nearest(wanted, self.features)}"
                    )
        axis = self.frame.axis.feature
        if axis is not None and axis not in self.features:
            raise ValueError(f"feature {axis!r} of the frame is not defined")
        if self.lot.pattern is not None:
            try:
                re.compile(self.lot.pattern)
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from None
        return self

    @classmethod
    def load(cls, path: str | Path) -> MeasureRecipe:
        """Read a TOML file."""
        path = Path(path)
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise MeasureError(f"{path} is no text file: {error}.") from None
        return cls.loads(text, path.name)

    @classmethod
    def loads(cls, text: str, name: str = "recipe") -> MeasureRecipe:
        """Read TOML text; a `MeasureError` names the line of what is wrong."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MeasureError(f"{name} is no valid TOML: {error}.") from None
        if data.get("format", FORMAT) != FORMAT:
            raise MeasureError(
                f"{name} is of the format {data['format']!r}; a measurement recipe "
                f'begins with format = "{FORMAT}".'
            )
        version = data.get("version", VERSION)
        if not isinstance(version, int) or version > VERSION:
            raise MeasureError(
                f"{name} is of version {version}; this napari-sesami reads up to "
                f"{VERSION}, so update it."
            )
        return cls.of(data, name, text)

    @classmethod
    def of(cls, data: Any, name: str = "recipe", text: str = "") -> MeasureRecipe:
        """Check plain values, as TOML gives them; `text` is where lines are told of."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise MeasureError(_told(error, text, name)) from None

    def to_toml(self) -> str:
        """Write everything that differs from the defaults as TOML."""
        data = self.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        head = {"format": FORMAT, "version": VERSION, "name": self.name}
        if "needs" in data:
            head["needs"] = data["needs"]
        return tomli_w.dumps(head | {k: v for k, v in data.items() if k not in head})

    def save(self, path: str | Path) -> None:
        """Write a TOML file that `load` reads back as the same recipe."""
        write_atomic(Path(path), self.to_toml().encode())

    @property
    def hash(self) -> str:
        """Name of the content, whatever the order and spelling of the file."""
        data = self.model_dump(by_alias=True, mode="json")
        text = json.dumps(data, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def classes(self) -> tuple[str, ...]:
        """Names of all classes that the recipe speaks of."""
        names = [*self.needs, *(f.class_ for f in self.features.values())]
        names += self.frame.axis.level or ()
        for m in self.measure:
            names += m.between or ()
        return tuple(dict.fromkeys(names))

    def check(self, classes: Any) -> list[str]:
        """Say what labels with these classes lack; nothing if they will do."""
        from napari_sesami.measure.site import class_ids

        known = class_ids(classes)
        return [
            f'the class "{name}"{_nearest(name, known)}'
            for name in self.classes()
            if name not in known
        ]


Recipe = MeasureRecipe


def _nearest(word: str, among: Any = KINDS) -> str:
    near = difflib.get_close_matches(str(word), list(map(str, among)), 1, 0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _told(error: ValidationError, text: str, name: str) -> str:
    """One sentence: line, place and reason of the first mistake."""
    first = error.errors()[0]
    place = [p for p in first["loc"] if p != "function-after"]
    line = _line_of(place, text)
    message = str(first["msg"]).removeprefix("Value error, ")
    key = next((p for p in reversed(place) if isinstance(p, str)), "")
    if first["type"] == "extra_forbidden":
        words = _fields_at(place[:-1])
        message = f"{key!r} is not known here{_nearest(key, words)}"
    elif first["type"] == "missing":
        wanted = "class" if key == "class_" else key
        message = f"{wanted!r} is missing"
    elif key and repr(key) not in message:
        message = f"{key}: {message}"
    where = f", line {line}" if line else ""
    return f"{name}{where}: {message}."


def _fields_at(place: list[Any]) -> list[str]:
    """Words that are known at a place of a recipe."""
    model: Any = MeasureRecipe
    homes = {
        "scale": ScaleSpec, "frame": FrameSpec, "axis": AxisSpec, "expect": Expect,
        "measure": Measurement, "limits": Limits, "lot": LotSpec,
    }  # fmt: skip
    for word in place:
        if word in homes:
            model = homes[word]
        elif isinstance(word, str):
            model = FeatureSpec
    return [f.alias or n for n, f in model.model_fields.items() if n != "uses_unit"]


def _line_of(place: list[Any], text: str) -> int | None:
    """Find the line of a key, or of the table it should stand in."""
    table: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    words = [p for p in place if isinstance(p, str)]
    number = next((p for p in place if isinstance(p, int)), None)
    best = None
    for n, line in enumerate(text.splitlines(), start=1):
        head = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line)
        if head and "=" not in line.split("[")[0]:
            table = tuple(w.strip(" \"'") for w in head[1].split("."))
            counts[head[1]] = counts.get(head[1], -1) + 1
        right = number is None or counts.get(".".join(table), 0) == number
        inside = table == tuple(words[: len(table)]) and right
        if inside and len(table):
            best = best or n
        key = re.match(r"\s*([\w\"'-]+)\s*[=.]", line)
        if inside and key and len(words) > len(table):
            if key[1].strip("\"'") == words[len(table)]:
                return n
    return best
