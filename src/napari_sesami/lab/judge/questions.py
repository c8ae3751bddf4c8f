"""Questions with known answers: prompts on procedural scans, and their candidates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label

from napari_sesami.common.box import box_of, grown, slices
from napari_sesami.lab.scenes import FAMILIES, TEM_KINDS, hbm_slice, tem
from napari_sesami.lab.scenes.random_scenes.scenes import random_scene
from napari_sesami.prompt import (
    NAMES,
    PLAIN,
    ClickJudge,
    Mask,
    Predictor,
    beside,
    kind_of,
)
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.prompt import WindowLevel

SOURCE = NAMES.index("source")
SMALLEST, LARGEST = 80, 0.35  # pixels, and share of the picture
LARGE, THIN = 20_000, 6.0  # pixels; pixels across
TEM = tuple(f"{kind}_{view}" for kind, views in TEM_KINDS.items() for view in views)
MODALITY = {
    **dict.fromkeys(TEM, "TEM"),
    "sem_low": "SEM", "sem_high": "SEM", "hbm_slice": "XRM", "wire_bond": "AOI",
}  # fmt: skip


def scene(family: str, seed: int) -> tuple[Scan, NDArray[Any]]:
    """Draw a scan with noise, and its regions numbered."""
    if family == "random":
        drawn = random_scene([seed, 4], (256, 512))
        return Scan.from_array(drawn.image), drawn.regions.astype(int)
    if family in TEM:
        kind, view = family.split("_")
        side = 1024 if seed % 2 else 512
        # every fifth without noise: drawings and averaged pictures are clicked, too
        made = tem(kind, seed, (side, side), noise=seed % 5 > 0, view=view)
    elif family == "even":
        return even_regions(seed)
    elif family == "hbm_slice":
        side = 512 if seed % 2 else 256
        made = hbm_slice(seed, (side, side))
    else:
        made = FAMILIES[family](seed)
    regions = label(made.labels, connectivity=2, background=0)
    return made.scan(), regions


def even_regions(seed: int) -> tuple[Scan, NDArray[Any]]:
    """Draw even greys with sharp borders: plates, combs, discs, blobs on another grey.

    Nothing else is in them, so nobody may answer worse than a flood.
    """
    rng = np.random.default_rng([seed, 11])
    side = int(rng.choice((256, 512, 640)))
    y, x = np.mgrid[:side, :side].astype(np.float32)
    greys = np.zeros((side, side), int)
    for value in (1, 2):
        for _ in range(int(rng.integers(1, 5))):
            cy, cx = rng.uniform(0.1, 0.9, 2) * side
            high, wide = side * np.exp(rng.uniform(np.log(0.02), np.log(0.35), 2))
            kind = rng.choice(("plate", "comb", "disc", "blob"))
            plate = (abs(y - cy) < high) & (abs(x - cx) < wide)
            if kind == "comb":
                step = rng.uniform(12, 80)
                teeth = (x % step < step * rng.uniform(0.3, 0.7)) & plate
                plate = teeth | (plate & (abs(y - cy) < max(high / 4, 3)))
            elif kind == "disc":
                plate = np.hypot((y - cy) / high, (x - cx) / wide) < 1
            elif kind == "blob":
                field = ndimage.gaussian_filter(
                    rng.normal(size=(side, side)), side / 20
                )
                plate = field > np.quantile(field, rng.uniform(0.6, 0.85))
            greys[plate] = value
    while True:
        levels = rng.uniform(0.1, 0.9, 3)
        if np.diff(np.sort(levels)).min() > 0.12:
            break
    image = ndimage.gaussian_filter(levels[greys], rng.uniform(0.2, 1.2))
    image = image + rng.normal(0, rng.choice((0, 0.01, 0.03, 0.05)), image.shape)
    regions = label(greys, connectivity=1, background=-1)
    return Scan.from_array((255 * np.clip(image, 0, 1)).astype(np.uint8)), regions


def objects(
    regions: NDArray[Any],
    rng: np.random.Generator,
    count: int,
    balanced: bool = False,
) -> list[NDArray[np.bool_]]:
    """Choose regions so that sizes are mixed: as many large ones as small ones.

    With `balanced` thin, middle and large ones take turns, as far as there are any.
    """
    area = np.bincount(regions.ravel())
    area[0] = 0
    good = np.flatnonzero((area >= SMALLEST) & (area <= LARGEST * regions.size))
    rng.shuffle(good)
    if balanced:
        return _in_turns(regions, good, area, count)
    bins: dict[int, list[int]] = {}
    for i in good:
        bins.setdefault(int(np.log2(area[i]) // 2), []).append(int(i))
    chosen: list[NDArray[np.bool_]] = []
    while bins and len(chosen) < count:
        for k in sorted(bins):
            chosen.append(regions == bins[k].pop())
            if not bins[k]:
                del bins[k]
    return chosen[:count]


def _in_turns(
    regions: NDArray[Any], good: NDArray[Any], area: NDArray[Any], count: int
) -> list[NDArray[np.bool_]]:
    """Take a thin, a large and a middle region, again and again."""
    classes: dict[str, list[NDArray[np.bool_]]] = {
        "thin": [],
        "large": [],
        "middle": [],
    }
    large = [i for i in good if area[i] > LARGE][:count]
    small = [i for i in good if area[i] <= LARGE][: 12 * count]
    for i in (*large, *small):
        region = regions == i
        same = classes[size_class(region)]
        if len(same) < count:
            same.append(region)
        if all(len(same) >= count for same in classes.values()):
            break
    chosen: list[NDArray[np.bool_]] = []
    for turn in range(count):
        chosen += [same[turn] for same in classes.values() if len(same) > turn]
    return chosen[:count]


def size_class(truth: NDArray[np.bool_]) -> str:
    """Say thin, middle or large, as the tables do."""
    box = box_of(truth)
    assert box is not None
    crop = truth[slices(grown(box, 1, truth.shape))]
    if 2 * float(ndimage.distance_transform_edt(crop).max()) < THIN:
        return "thin"
    return "large" if np.count_nonzero(truth) > LARGE else "middle"


def deep_point(
    region: NDArray[np.bool_], rng: np.random.Generator | None = None
) -> tuple[tuple[int, int], float]:
    """The deepest point of a region, or with `rng` any that is not at its rim."""
    box = box_of(region)
    if box is None:
        return (0, 0), 0.0
    cut = grown(box, 1, region.shape)
    depth: Any = ndimage.distance_transform_edt(np.pad(region[slices(cut)], 1))
    depth = depth[1:-1, 1:-1]
    if rng is None:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        inner = np.argwhere(depth >= max(0.35 * depth.max(), 1))
        y, x = inner[rng.integers(len(inner))]
    return (int(y) + cut[0], int(x) + cut[1]), float(depth.max())


def _no_numbers() -> NDArray[np.float32]:
    return np.zeros((0, len(NAMES)), np.float32)


@dataclass(eq=False)
class AskedPrompt:
    """A question with its candidates.

    Attributes
    ----------
    scene
        Name of the file it was read from.
    family, kind, size
        Of the scene; "click", "box", "places" or "slice"; thin, middle or large.
    number
        How many clicks were given.
    numbers
        (K, features), of all windows.
    overlap
        (K,) IoU with the truth.
    cut
        (K,) whether they run out of their window.
    level
        (K,) how much the window is shrunk.
    first, first_overlap
        The same of the net's own masks in the first window, the plain answer on top;
        empty where that is not whole in it.
    """

    family: str
    kind: str
    size: str
    number: int
    numbers: NDArray[np.float32]
    overlap: NDArray[np.float32]
    cut: NDArray[np.bool_]
    level: NDArray[np.int64]
    first: NDArray[np.float32] = field(default_factory=_no_numbers)
    first_overlap: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )
    scene: str = ""

    @property
    def is_plain(self) -> NDArray[np.bool_]:
        """(K,) which is the net's plain answer."""
        return np.asarray(self.numbers[:, SOURCE] == PLAIN)

    @property
    def prompts(self) -> int:
        """Which of `KINDS` it is."""
        if self.kind in ("box", "slice"):
            return 2
        return 0 if self.kind == "click" and self.number == 1 else 1


class Asker:
    """Clicks through an object and keeps all candidates of every question."""

    def __init__(self, predictor: Predictor, rng: np.random.Generator) -> None:
        self.predictor, self.rng = predictor, rng

    def questions(
        self, scan: Scan, truth: NDArray[np.bool_], family: str
    ) -> Iterator[AskedPrompt]:
        """One to five clicks; now and then a box, several places, a slice before."""
        rng, size = self.rng, size_class(truth)
        meant = Mask.from_array(truth)
        at, _ = deep_point(truth, None if rng.random() < 0.6 else rng)
        points, labels, last = [at], [1], None
        most = int(rng.choice((1, 3, 5), p=(0.4, 0.4, 0.2)))
        for i in range(most):
            asked, answers = self._ask(
                scan, meant, points=points, labels=labels, mask=last
            )
            if asked is None:
                break
            yield self._named(asked, family, "click", size, i + 1)
            last = answers()
            found = last.full
            (here, missed), (there, extra) = (
                deep_point(truth & ~found),
                deep_point(found & ~truth),
            )
            if max(missed, extra) < 1.5:
                break
            points.append(here if missed >= extra else there)
            labels.append(int(missed >= extra))
        y0, x0, y1, x1 = meant.bbox
        if rng.random() < 0.3:
            by = np.array([y1 - y0, x1 - x0] * 2) * rng.normal(0, 0.03, 4)
            box = np.array(meant.bbox) + by
            box[2:] = np.maximum(box[2:], box[:2] + 2)
            asked, _ = self._ask(scan, meant, box=box)
            if asked is not None:
                yield self._named(asked, family, "box", size, 0)
        if rng.random() < 0.15:
            several = [
                deep_point(truth, rng)[0] for _ in range(int(rng.integers(2, 7)))
            ]
            asked, _ = self._ask(scan, meant, points=several)
            if asked is not None:
                yield self._named(asked, family, "places", size, len(several))
        if rng.random() < 0.15:
            moved = np.roll(truth, rng.integers(-3, 4, 2), (0, 1))
            if rng.random() < 0.5:
                moved = ndimage.binary_dilation(moved, iterations=2)
            before = Mask.from_array(moved)
            y0, x0, y1, x1 = before.bbox
            rim = max(1.0, 0.05 * max(y1 - y0, x1 - x0))
            h, w = truth.shape
            loose = np.clip((y0 - rim, x0 - rim, y1 + rim, x1 + rim), 0, (h, w, h, w))
            asked, _ = self._ask(
                scan, meant, points=[deep_point(moved)[0]], box=loose, mask=before
            )
            if asked is not None:
                yield self._named(asked, family, "slice", size, 1)

    def of_net(
        self, scan: Scan, truth: NDArray[np.bool_], family: str
    ) -> Iterator[AskedPrompt]:
        """Clicks anywhere on an object and a loose box, answered by the net alone."""
        rng, meant, size = self.rng, Mask.from_array(truth), size_class(truth)
        inside = np.argwhere(truth)
        given: list[tuple[str, dict[str, Any]]] = [
            ("click", {"points": [inside[rng.integers(len(inside))]]}),
            ("click", {"points": [deep_point(truth, rng)[0]]}),
        ]
        y0, x0, y1, x1 = meant.bbox
        box = np.array(meant.bbox, float)
        box += np.array([y1 - y0, x1 - x0] * 2) * rng.normal(0, 0.05, 4)
        box[2:] = np.maximum(box[2:], box[:2] + 2)
        given += [("box", {"box": box, "multimask": three}) for three in (True, False)]
        for kind, prompts in given:
            level = self.predictor.pool(scan, **prompts).net_alone()
            if level is None:
                continue
            here = level.in_window(meant)
            seen = np.count_nonzero(meant.window(level.view.box)) / meant.area
            overlap = [
                seen * np.count_nonzero(c.mask & here) / np.count_nonzero(c.mask | here)
                for c in level.found
            ]
            yield AskedPrompt(
                family, kind, size, 1, level.numbers, np.array(overlap, np.float32),
                np.zeros(len(overlap), bool), np.full(len(overlap), level.view.shrink),
            )  # fmt: skip

    @staticmethod
    def _named(
        asked: AskedPrompt, family: str, kind: str, size: str, number: int
    ) -> AskedPrompt:
        return replace(asked, family=family, kind=kind, size=size, number=number)

    def _ask(
        self, scan: Scan, meant: Mask, **given: Any
    ) -> tuple[AskedPrompt | None, Callable[[], Mask]]:
        pool = self.predictor.pool(scan, **given)
        numbers, overlap, cut, level, where = [], [], [], [], []

        def overlaps(one: WindowLevel) -> list[float]:
            here, out = one.in_window(meant), []
            # what lies outside of the window is missed by all that end there
            seen = np.count_nonzero(meant.window(one.view.box)) / meant.area
            for i, c in enumerate(one.found):
                both = np.count_nonzero(c.mask & here)
                share = seen * both / np.count_nonzero(c.mask | here)
                whole = one.whole(i)
                out.append(share if whole is None else whole.iou(meant))
            return out

        early: WindowLevel | None = None
        begun = False
        for scene in pool.scenes():
            if not begun:
                early, begun = pool.level(scene, scene.of_net()), True
            one = pool.level(scene, scene.candidates())
            if one is None:
                continue
            overlap += overlaps(one)
            where += [(one, i) for i in range(len(one.found))]
            numbers.append(one.numbers)
            cut.append(one.cut)
            level.append(np.full(len(one.found), one.view.shrink))
        if not where:
            return None, lambda: meant
        asked = AskedPrompt(
            "", "", "", 0,
            np.concatenate(numbers),
            np.array(overlap, np.float32),
            np.concatenate(cut),
            np.concatenate(level),
        )  # fmt: skip
        if early and early.is_plain[0] and not early.cut[0]:
            asked.first = early.numbers
            asked.first_overlap = np.array(overlaps(early), np.float32)

        def answer() -> Mask:
            """What the next click corrects: often what the judge of now would show.

            Else the plain answer, or a good one: the judge is to know them all.
            """
            chance = self.rng.random()
            if chance < 0.3 and not pool.plain.empty:
                return pool.plain
            if chance < 0.8:
                judge = ClickJudge.bundled()
                said = [judge.pool.predict(beside(part)) for part in numbers]
                lean = float(judge.lean[kind_of(pool.task.prompt)])
                worth = np.concatenate(said) - 9.0 * asked.cut + lean * asked.is_plain
            else:
                noise = self.rng.normal(0, 0.1, len(asked.overlap))
                worth = asked.overlap + noise - 9.0 * asked.cut
            one, i = where[int(np.argmax(worth))]
            return pool.draw(one, i, 0.5)

        return asked, answer


def save(questions: list[AskedPrompt], path: Path) -> None:
    """Write questions as plain arrays."""
    counts = [len(q.overlap) for q in questions]
    np.savez_compressed(
        path,
        counts=np.array(counts),
        numbers=np.concatenate([q.numbers for q in questions]),
        overlap=np.concatenate([q.overlap for q in questions]),
        cut=np.concatenate([q.cut for q in questions]),
        level=np.concatenate([q.level for q in questions]),
        family=np.array([q.family for q in questions]),
        kind=np.array([q.kind for q in questions]),
        size=np.array([q.size for q in questions]),
        number=np.array([q.number for q in questions]),
        firsts=np.array([len(q.first) for q in questions]),
        first=np.concatenate([q.first for q in questions]),
        first_overlap=np.concatenate([q.first_overlap for q in questions]),
    )


def load(paths: list[Path]) -> list[AskedPrompt]:
    """Read what `save` wrote."""
    out = []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            ends = np.cumsum(file["counts"])
            stops = np.cumsum(file["firsts"])
            data = {k: file[k] for k in file.files}
        for i, end in enumerate(ends):
            rows = slice(end - data["counts"][i], end)
            early = slice(stops[i] - data["firsts"][i], stops[i])
            out.append(
                AskedPrompt(
                    str(data["family"][i]), str(data["kind"][i]), str(data["size"][i]),
                    int(data["number"][i]), data["numbers"][rows],
                    data["overlap"][rows], data["cut"][rows], data["level"][rows],
                    data["first"][early], data["first_overlap"][early], path.stem,
                )
            )  # fmt: skip
    return out


def collect(
    predictor: Predictor,
    family: str,
    seed: int,
    path: Path,
    per_scene: int = 3,
    net_alone: bool = False,
) -> list[AskedPrompt]:
    """Ask about objects of a scene, and write what was asked."""
    rng = np.random.default_rng([seed, *family.encode()])
    scan, regions = scene(family, seed)
    asker = Asker(predictor, rng)
    questions: list[AskedPrompt] = []
    for truth in objects(regions, rng, per_scene, balanced=not net_alone):
        ask = asker.of_net if net_alone else asker.questions
        questions += ask(scan, truth, family)
    if questions:
        save(questions, path)
    return questions
