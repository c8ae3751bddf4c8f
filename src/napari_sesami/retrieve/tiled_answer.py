"""What strokes say of a large plane, square by square, so that memory stays flat."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.retrieve.on_disk import let_go, zeros
from napari_sesami.retrieve.threads import in_order
from napari_sesami.retrieve.upsample import Guide, quick_labels, upsample
from napari_sesami.retrieve.voting import area_weights, by_share, mean_share, weighed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.common.box import BBox
    from napari_sesami.retrieve.upsample import Check
    from napari_sesami.scan import Scan

WHOLE = 1 << 22  # pixels of a plane up to which its maps are made whole
SIDE = 256  # pixels of a square: what is decided at a time
STRIP = 512  # rows of a plane that are refined at a time
MARGIN = 64  # rows around them that the filters may look at
REACH = 3  # pixels over which a border may be moved to an edge of the image
PARTS = 32  # squares between two looks at how much memory mapped files take


def is_large(shape: tuple[int, int]) -> bool:
    """Whether a plane (H, W) is decided square by square."""
    return shape[0] * shape[1] > WHOLE


class TiledAnswer:
    """Probabilities of a grid of one large plane, as far as they were asked for.

    Squares may be decided in any order. How much of the plane each class covers is
    known when all of them are; until then it is told by those that are there.

    Parameters
    ----------
    scan, plane
        Of what.
    step
        Every how manieth row and column is decided.
    n_classes
        How many class ids there are.
    decide
        Gives probabilities (h, w, C) of the grid inside of a box (y0, x0, y1, x1).
    of_pixels
        Whether stroked pixels were learned; else votes of tokens stand alone, and
        classes are weighed in another way.
    folder
        Where what does not fit into memory may lie.
    rest
        Frees memory of what `decide` has read; called now and then.

    Attributes
    ----------
    known
        Which squares are decided.
    shown
        (H, W) class ids for somebody who looks on; where nothing is decided yet, what
        an answer before said, or 0.
    """

    def __init__(
        self,
        scan: Scan,
        plane: int,
        step: int,
        n_classes: int,
        decide: Callable[[BBox], NDArray[np.float32]],
        of_pixels: bool,
        folder: Path | None,
        rest: Callable[[], None],
    ) -> None:
        self._scan, self._plane, self._step = scan, plane, step
        self._decide, self._of_pixels, self._rest = decide, of_pixels, rest
        height, width = scan.plane_shape
        self._side = max(1, SIDE // step) * step
        grid = (-(-height // step), -(-width // step), n_classes)
        self._said = zeros(grid, np.float32, folder)
        squares = (-(-height // self._side), -(-width // self._side))
        self.known = np.zeros(squares, bool)
        self._sums, self._count = np.zeros(n_classes), 0
        self.shown = np.zeros((height, width), np.uint8)

    def box(self, square: tuple[int, int]) -> BBox:
        """Pixels (y0, x0, y1, x1) of a square."""
        height, width = self._scan.plane_shape
        y, x = (k * self._side for k in square)
        return y, x, min(y + self._side, height), min(x + self._side, width)

    def unknown(self, near: tuple[float, float] | None = None) -> list[tuple[int, int]]:
        """Squares that are not decided yet, from a pixel outward."""
        squares = np.argwhere(~self.known)
        middle = np.zeros(2) if near is None else np.asarray(near) / self._side - 0.5
        far = np.linalg.norm(squares - middle, axis=1)
        return [(int(y), int(x)) for y, x in squares[np.argsort(far, kind="stable")]]

    def within(self, tokens: NDArray[np.bool_], patch: int) -> list[tuple[int, int]]:
        """Squares to decide for which all tokens are known, and those around them.

        `tokens` (h, w) tells which are, each of `patch` pixels.
        """
        found = []
        for square in self.unknown():
            y0, x0, y1, x1 = self.box(square)
            rows = slice(max(0, y0 // patch - 1), -(-y1 // patch) + 1)
            columns = slice(max(0, x0 // patch - 1), -(-x1 // patch) + 1)
            if tokens[rows, columns].all():
                found.append(square)
        return found

    def fill(
        self,
        squares: Iterable[tuple[int, int]],
        check: Check,
        each: Callable[[], None] | None = None,
        *,
        threads: bool = True,
    ) -> None:
        """Decide squares; `shown` has their labels at once, and `each` is called."""
        asked = [square for square in squares if not self.known[square]]
        if each is not None and asked and threads:
            self.fill(asked[:1], check, each, threads=False)  # the first at once
            asked = asked[1:]

        def decided(square: tuple[int, int]) -> NDArray[np.float32]:
            check()
            return self._decide(self.box(square))

        if not threads:
            for square in asked:
                self._take(square, decided(square), each)
            return
        with closing(in_order(decided, asked)) as answers:
            for done, (square, said) in enumerate(zip(asked, answers, strict=True)):
                self._take(square, said, each)
                if done % PARTS == 0:
                    let_go(self._said)
                    self._rest()

    def _take(
        self,
        square: tuple[int, int],
        said: NDArray[np.float32],
        each: Callable[[], None] | None,
    ) -> None:
        """Keep what is said of a square, and show it if somebody looks."""
        y0, x0, y1, x1 = self.box(square)
        top, left = y0 // self._step, x0 // self._step
        h, w = said.shape[:2]
        self._said[top : top + h, left : left + w] = said
        self._sums += said.sum((0, 1), dtype=np.float64)
        self._count += h * w
        self.known[square] = True
        if each is not None:
            share = self._sums / self._count
            found = by_share(said, share) if self._of_pixels else said
            labels = quick_labels(found, (y1 - y0, x1 - x0), self._step)
            self.shown[y0:y1, x0:x1] = labels
            each()

    def labels(self, refine: bool, check: Check) -> NDArray[np.uint8]:
        """Class ids (H, W) once all squares are decided."""
        (height, width), step = self._scan.plane_shape, self._step
        if self._of_pixels:
            weigh = partial(by_share, share=mean_share(self._said))
        else:
            weigh = partial(weighed, weights=area_weights(self._said))
        strip, margin = (-(-rows // step) * step for rows in (STRIP, MARGIN))
        if not refine:
            margin = step
        out = np.empty((height, width), np.uint8)
        for start in range(0, height, strip):
            check()
            stop = min(start + strip, height)
            first, last = max(0, start - margin), min(stop + margin, height)
            part = weigh(self._said[first // step : -(-last // step)])
            own = slice(start - first, stop - first)
            if not refine:
                found = quick_labels(part, (last - first, width), step)
                out[start:stop] = found[own]
                continue
            said = upsample(part, (last - first, width), step)
            image = self._scan.grey(self._plane, (first, 0, last, width))
            guide = Guide(image, REACH, step=2)
            best = guide.filter(said[..., 0])
            winner = np.ones(best.shape, np.uint8)
            for c in range(1, said.shape[-1]):  # one map at a time
                one = guide.filter(said[..., c])
                better = one > best
                winner[better] = c + 1
                np.copyto(best, one, where=better)
            out[start:stop] = winner[own]
        let_go(self._said)
        return out
