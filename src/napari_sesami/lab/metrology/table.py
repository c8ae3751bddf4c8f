"""The self-test: bias, scatter and coverage of every quantity on scenes with truth.

`sesami measure --self-test` prints it; the tests run it with fewer draws.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.lab.metrology.drawn import Drawn, wavy
from napari_sesami.lab.metrology.scenes import (
    fins,
    half_plane,
    holes,
    nanosheets,
    planar_films,
    rough_edges,
    sem_lines,
)
from napari_sesami.lab.metrology.stroke_rows import stroke_rows
from napari_sesami.lab.metrology.table_row import TITLE, TableRow, row_of
from napari_sesami.lab.metrology.volume_rows import volume_rows
from napari_sesami.measure import (
    Recipe,
    Site,
    StraightGuide,
    coverage_factor,
    measure,
    polynomial,
    roughness_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sesami.measure import Result

HEAD = 'format = "sesami-measure"\nversion = 1\n'


def self_test(
    n: int = 200, tell: Callable[[str], None] | None = None
) -> list[TableRow]:
    """Measure scenes with truth about `n` times each; `tell` gets each line."""
    rows: list[TableRow] = []
    if tell is not None:
        tell(TITLE)
    for make in ROWS:
        for row in make(n):
            rows.append(row)
            if tell is not None:
                tell(row.line())
    return rows


def print_table(n: int = 200) -> bool:
    """Print the table; True if every row meets its target."""
    return all(row.met for row in self_test(n, lambda line: print(line, flush=True)))


def edge_rows(n: int, correlation: float = 0.0) -> list[TableRow]:
    """Fit straight edges at all phases and turns, by labels that are off."""
    rows = []
    cells = [(0.6, 10), (1.0, 5), (1.0, 10), (1.0, 20), (1.5, 20), (2.5, 10)]
    for sigma, cnr in cells if not correlation else [(1.0, 10)]:
        found, missed, length = [], 0, 48.0
        for k in range(max(2, n // 4)):
            degrees = (0.0, 0.6, 5.0, 17.0, 45.0)[k % 5]
            base = half_plane(k, degrees, sigma)
            rng = np.random.default_rng(k + 7)
            for draw in range(4):
                drawn = base.noisy(50 / cnr, 100 * k + draw, correlation)
                site = Site(drawn.scan(), drawn.labels, drawn.classes, sigma=base.sigma)
                off, lean = float(rng.uniform(-1, 1)), float(rng.normal(0, 0.01))
                ny, nx = drawn.truth["normal"]
                true, middle = drawn.truth["offset"], np.array(drawn.truth["middle"])
                # silicon lies where the distance is negative
                normal = np.array([ny, nx])
                at = middle + normal * (true + off)
                turned = normal + lean * np.array([-nx, ny])
                turned /= np.hypot(*turned)
                guide = StraightGuide(
                    (float(at[0]), float(at[1])),
                    (float(turned[0]), float(turned[1])),
                    length,
                )
                edge = site.edge(guide, polynomial(length, 1), free_sigma=True)
                if not edge.ok or edge.fit is None:
                    missed += 1
                    continue
                place = edge.guide.at(np.zeros(1), edge.offsets(np.zeros(1)))[0]
                error = float((place - middle) @ normal - true)
                own = float(np.hypot(edge.fit.covariance[0, 0] ** 0.5,
                                     edge.fit.model_shift))  # fmt: skip
                found.append((error, own, coverage_factor(edge.fit.dof) * own))
        bound = np.sqrt(2 * base.sigma * np.sqrt(np.pi)) / cnr / np.sqrt(length)
        name = f"edge, σ {sigma:g}, CNR {cnr:g}"
        low, high = 0.93, 0.97
        if correlation:
            name += f", noise alike over {correlation:g} px"
            low, bound = 0.92, np.nan
        target = (0.02, low, high)
        rows.append(row_of(name, "px", found, missed, target, float(bound)))
    return rows


def correlated_rows(n: int) -> list[TableRow]:
    """Fit edges in noise that is alike in neighbouring pixels."""
    return [row for c in (0.7, 1.2) for row in edge_rows(n, c)]


FIN = Recipe.loads(
    HEAD
    + """
[features.fin]
class = "silicon"
[[measure]]
name = "CD"
kind = "cd"
feature = "fin"
[[measure]]
name = "height"
kind = "height"
feature = "fin"
[[measure]]
name = "sidewall angle"
kind = "angle"
feature = "fin"
[[measure]]
name = "pitch"
kind = "pitch"
feature = "fin"
"""
)


def _of_fin(truth: dict[str, Any], r: Result) -> float:
    k = r.number - 1
    if r.kind == "cd":
        return float(truth["cd"][k][(0.1, 0.5, 0.9).index(r.at or 0)])
    if r.kind == "pitch":
        return float(truth["middle"][k + 1] - truth["middle"][k])
    return float(truth[r.kind][k])


def fin_rows(n: int) -> list[TableRow]:
    """Measure tapered fins by exact labels, then by labels that are off and wavy."""
    pictures = max(2, n // 6)  # a bias of 0.02 px is an eighth of their scatter
    exact = _many(fins, FIN, _of_fin, pictures, 4, 60 / 8)
    rows = _rows("fin", exact, lambda key: (0.02, 0.93, 0.97))

    def off(labels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        return wavy(labels, seed, (-1.4, 1.4, 0.0, -2.0, 2.0)[seed % 5])

    moved = _many(fins, FIN, _of_fin, pictures, 4, 60 / 8, off)
    return rows + _rows("fin, labels off by 2 px", moved, lambda key: (0.05, 0.93, 1.0))


FILM = """
[[measure]]
name = "film"
kind = "thickness"
between = ["silicon", "film", "metal"]
"""
SHEET = Recipe.loads(
    HEAD
    + """
[features.sheet]
class = "silicon"
"""
    + FILM
    + """
feature = "sheet"
zones = { top = "north", bottom = "south", all = "all" }
"""
)


def film_rows(n: int) -> list[TableRow]:
    """Measure planar films from thin to thick, and a conformal one."""
    rows = []
    for thick in (1.5, 2.5, 3.0, 4.0, 6.0, 8.0):
        sigma = float(np.sqrt(1 + 1 / 12))
        recipe = Recipe.loads(f"{HEAD}sigma_px = {sigma}\n" + FILM)

        def make(seed: int, thick: float = thick) -> Drawn:
            return planar_films(seed, thick)

        found = _many(make, recipe, lambda t, r: t["thickness"], max(2, n // 5), 5, 5.0)
        limit = 0.03 if thick >= 4 else 0.05
        if thick < 2:  # there must be no number
            values, missed = found[("film", "", None)]
            row = TableRow(
                f"film of {thick:g} σ: refused", "px", len(values) + missed,
                missed, 0.0, 0.0, np.nan, 1.0, missed / max(1, len(values) + missed),
                0.0, (0.0, 0.97, 1.0),
            )  # fmt: skip
            rows.append(row)
        else:
            rows += _rows(
                f"film of {thick:g} σ", found, lambda k, b=limit: (b, 0.93, 1)
            )
    found = _many(
        nanosheets, SHEET, lambda t, r: t["thickness"], max(2, n // 12), 4, 6.0
    )
    return rows + _rows("conformal", found, lambda key: (0.05, 0.93, 1.0))


HOLE = Recipe.loads(
    HEAD
    + """
[features.hole]
class = "hole"
kind = "hole"
[[measure]]
name = "diameter"
kind = "diameter"
feature = "hole"
[[measure]]
name = "ellipticity"
kind = "ellipticity"
feature = "hole"
"""
)


def hole_rows(n: int) -> list[TableRow]:
    """Measure holes from small to large, round and elliptic."""
    rows = []
    for radius, ratio in (
        (4.0, 1.0),
        (6.0, 1.2),
        (12.0, 1.0),
        (12.0, 1.5),
        (25.0, 1.3),
    ):

        def make(seed: int, radius: float = radius, ratio: float = ratio) -> Drawn:
            return holes(seed, radius, ratio, count=2)

        found = _many(
            make, HOLE,
            lambda t, r: t["ratio"] if r.kind == "ellipticity" else
            t["diameter"][r.number - 1],
            max(2, n // 16), 4, 8.0,
        )  # fmt: skip
        for key, (values, missed) in found.items():
            limit = 0.02 if key[0] == "diameter" else (0.005 if radius > 6 else 0.02)
            name = f"hole r {radius:g}, axes {ratio:g}: {key[0]}"
            unit = "px" if key[0] == "diameter" else ""
            rows.append(row_of(name, unit, values, missed, (limit, 0.93, 1.0)))
    return rows


def rough_rows(n: int) -> list[TableRow]:
    """Take the noise off roughness: 16 edges of 40 ξ, noise up to 1.3 σ."""
    rows = []
    for noise in (0.3, 0.8, 1.3):
        endless, lengths = [], []
        for seed in range(max(4, n // 10)):
            edges, _ = rough_edges(seed, 16, 480, 1.0, 12.0, 0.7)
            rng = np.random.default_rng(seed + 99)
            found = roughness_of(edges + noise * rng.standard_normal(edges.shape), 1.0)
            if found is not None:
                k = coverage_factor(32)
                u = found.u_infinite
                endless.append((found.infinite - 1, u, k * u))
                lengths.append(
                    (found.xi / 12 - 1, found.u_xi / 12, k * found.u_xi / 12)
                )
        name = f"roughness, noise {noise:g} σ"
        rows.append(row_of(f"{name}: σ", "rel", endless, 0, (0.03, 0.90, 1.0)))
        rows.append(row_of(f"{name}: ξ", "rel", lengths, 0, (0.10, 0.90, 1.0)))
    return rows


def sem_rows(n: int) -> list[TableRow]:
    """Measure SEM lines: the flank's offset is its definition's, the model has none."""
    parts = "".join(
        f'[[measure]]\nname = "{edge}"\nkind = "cd"\n'
        f'feature = "line"\nedge = "{edge}"\n'
        for edge in ("flank", "model")
    )
    recipe = Recipe.loads(
        f'{HEAD}[features.line]\nclass = "line"\nkind = "line"\n{parts}'
    )
    found = _many(
        sem_lines, recipe, lambda t, r: t["cd"][r.number - 1], max(2, n // 4), 1, 6.0
    )
    rows = []
    for (name, _, _), (values, missed) in found.items():
        if name == "flank":  # scatter of the offset over looks, per edge
            errors = np.array([v[0] for v in values]) / 2
            centred = [(e - errors.mean(), 0.125, 0.25) for e in errors]
            title = "SEM flank: its offset over looks, per edge"
            rows.append(row_of(title, "px", centred, missed, (0.25, 0.80, 1.0)))
        else:
            rows.append(row_of("SEM model", "px", values, missed, (0.1, 0.90, 1.0)))
    return rows


def rival_rows(n: int) -> list[TableRow]:
    """What labels and simple profiles give on the same pictures; no error bars."""
    from skimage.measure import regionprops

    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(max(2, n // 20)):
        drawn = fins(seed).noisy(60 / 8, seed)
        for k, middle in enumerate(drawn.truth["middle"]):
            row = 17 + drawn.truth["height"][k] / 2
            true = float(drawn.truth["cd"][k][1])
            at, near = round(middle), slice(int(row) - 3, int(row) + 4)
            labels = drawn.labels[near, at - 21 : at + 22] == 2
            profile = drawn.image[near, at - 21 : at + 22].mean(0)
            found.setdefault("labels: mean run of 7 rows", []).append(
                (float(labels.sum(1).mean()) - true, 0.0, 0.0)
            )
            found.setdefault("averaged profile at half maximum", []).append(
                (_half_width(profile) - true, 0.0, 0.0)
            )
        round_ones = holes(seed, 12.0).noisy(8.0, seed)
        for part in regionprops(
            (round_ones.labels == 2).astype(int) * _parts(round_ones)
        ):
            for name, value in (
                ("regionprops: feret_diameter_max", part.feret_diameter_max),
                ("regionprops: perimeter / π", part.perimeter / np.pi),
                ("regionprops: axis_major_length", part.axis_major_length),
                ("regionprops: equivalent diameter", part.equivalent_diameter_area),
            ):
                found.setdefault(name, []).append((float(value) - 24.0, 0.0, 0.0))
        film = planar_films(seed, 3.0).noisy(5.0, seed)
        mean = film.image[:, 20:28].mean(1).astype(float)
        found.setdefault("film of 3 σ: profile at half maximum", []).append(
            (_half_width(mean) - 3.0, 0.0, 0.0)
        )
    return [
        row_of(f"rival, {name}", "px", values, 0, (np.inf, 0.0, 1.0))
        for name, values in found.items()
    ]


def _parts(drawn: Drawn) -> NDArray[np.int64]:
    from scipy.ndimage import label

    return np.asarray(label(drawn.labels == 2)[0], np.int64)


def _half_width(profile: NDArray[Any]) -> float:
    """Width at half maximum of the highest peak, as a line profile tool gives it."""
    floor = float(max(np.median(profile[:8]), np.median(profile[-8:])))
    top = int(profile.argmax())
    half = (floor + float(np.sort(profile)[-5:].mean())) / 2
    ends = []
    for step in (-1, 1):
        k = top
        while 0 < k < profile.size - 1 and profile[k] > half:
            k += step
        a, b = float(profile[k - step]), float(profile[k])
        ends.append(k - step + step * (a - half) / (a - b) if a != b else k)
    return float(ends[1] - ends[0])


ROWS = (
    edge_rows, correlated_rows, fin_rows, film_rows, hole_rows, rough_rows, sem_rows,
    stroke_rows, volume_rows, rival_rows,
)  # fmt: skip

Found = dict[tuple[str, str, float | None], tuple[list[Any], int]]


def _many(
    make: Callable[[int], Drawn],
    recipe: Recipe,
    true: Callable[[dict[str, Any], Result], float],
    pictures: int,
    draws: int,
    noise: float,
    change: Callable[[NDArray[np.uint8], int], NDArray[np.uint8]] | None = None,
) -> Found:
    """Errors of all values by (name, zone, depth), and how many were refused."""
    values: dict[tuple[str, str, float | None], list[Any]] = {}
    missed: dict[tuple[str, str, float | None], int] = {}
    for seed, draw in itertools.product(range(pictures), range(draws)):
        base = make(seed)
        drawn = base.noisy(noise, 1000 * seed + draw)
        labels = drawn.labels if change is None else change(drawn.labels, seed)
        for r in measure(drawn.scan(1.0, "nm"), labels, drawn.classes, recipe):
            if r.statistic != "value":
                continue
            key = (r.measurement, r.zone, r.at)
            values.setdefault(key, [])
            missed.setdefault(key, 0)
            if r.status != "ok":
                missed[key] += 1
                continue
            error = r.value - true(drawn.truth, r)
            values[key].append((error, r.budget.standard, r.U))
    return {key: (v, missed[key]) for key, v in values.items()}


def _rows(
    title: str,
    found: Found,
    target: Callable[..., tuple[float, float, float]],
) -> list[TableRow]:
    rows = []
    for key, (values, missed) in found.items():
        name, zone, at = key
        words = [f"{title}: {name}" if name not in title else title, zone]
        words += [f"at {100 * at:g} %"] if at is not None else []
        unit = "°" if "angle" in name else "px"
        rows.append(
            row_of(" ".join(w for w in words if w), unit, values, missed, target(key))
        )
    return rows
