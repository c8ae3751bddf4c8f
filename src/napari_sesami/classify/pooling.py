"""From the tokens of a picture to one vector that a small defect does not drown in.

The mean over a picture shows the pattern, not the defect: a speck covers a hundredth of
it. So each token is asked how unlike the rest of its own picture it is (a pattern
repeats, a defect does not), and the most unlike ones are pooled by themselves, with
what the pattern would have had in their place. Beside a template, unlike is what
neither the template nor the picture's own surroundings show. What a head sees first is
the difference between the two: at five labels a class it is worth 13 points. Shares,
widths and weights were chosen on procedural pairs by scripts/choose_classify.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Tokens = NDArray[np.float32]

METHOD = "pool2"
"""Part of the key of cached features: changes whenever the numbers do."""
RIM = 0.2
"""Share of a side that counts as surroundings, along each edge."""
MIDDLE = 0.15
"""Width of the weight on the middle, in sides: tools bring the defect there."""
NEAR = 0.18
"""A token is not compared with others nearer than this, in sides."""
MOST = 1600
"""Tokens that all others are compared with, at most."""
FEW, SOME, MORE = 0.01, 0.02, 0.05
"""Shares of the most unlike tokens that are pooled."""
TEXTURE, USUAL, FORM = 0.2, 0.2, 3.0
"""What counts beside the difference of what is unlike from its surroundings: the whole
picture, those surroundings, and how large and strong the unlike place is."""
REACH = 2
"""Tokens by which a template may lie beside the picture."""
SHAPE = 8


def alone_length(dim: int) -> int:
    """How many numbers `pooled_alone` gives for tokens of that size."""
    return 8 * dim + 2 * SHAPE


def beside_length(dim: int) -> int:
    """How many numbers `pooled_beside` gives for tokens of that size."""
    return 8 * dim + 2 * SHAPE


def trust_of(view: str, length: int) -> Tokens:
    """Give how much each number of a view counts in a head before it has learnt."""
    dim = (length - 2 * SHAPE) // 8
    apart, usual = (2, 2) if view == "difference" else (3, 2)
    trust = np.full(length, TEXTURE, np.float32)
    trust[: apart * dim] = 1.0
    trust[apart * dim : (apart + usual) * dim] = USUAL
    trust[8 * dim :] = FORM
    return trust


def pooled_alone(tokens: Tokens) -> Tokens:
    """Pool one picture: mean, deviation, middle, and what is unlike the rest of it."""
    dim, height, width = tokens.shape
    flat = tokens.reshape(dim, -1)
    grid = _TokenPlaces(height, width)
    unlike, match = grid.unlike_rim(flat)
    apart, other = grid.unlike_far(flat)
    middle = apart * grid.middle
    few, some, more = (_first(unlike, share) for share in (FEW, SOME, MORE))
    mid = _first(middle, SOME)
    usual, around = match[:, some].mean(1), other[:, mid].mean(1)
    return np.concatenate(
        [
            flat[:, few].mean(1) - usual, flat[:, more].mean(1) - usual,
            flat[:, mid].mean(1) - around, usual, around,
            flat.mean(1), flat.std(1), flat @ (grid.middle / grid.middle.sum()),
            grid.shape_of(unlike), grid.shape_of(apart),
        ]
    ).astype(np.float32)  # fmt: skip


def pooled_beside(tokens: Tokens, template: Tokens) -> Tokens:
    """Pool a picture beside its template: what it has and the template has not."""
    template = _like(template, tokens.shape)
    dim, height, width = tokens.shape
    flat, good = tokens.reshape(dim, -1), template.reshape(dim, -1)
    # brightness and focus differ from die to die: equal means and deviations
    scaled = (good - good.mean(1, keepdims=True)) / (good.std(1, keepdims=True) + 1e-6)
    scaled = scaled * flat.std(1, keepdims=True) + flat.mean(1, keepdims=True)
    scaled /= np.linalg.norm(scaled, axis=0, keepdims=True) + 1e-9
    grid = _TokenPlaces(height, width)
    unlike, match = grid.unlike_beside(flat, scaled.reshape(dim, height, width))
    own, _ = grid.unlike_rim(flat)
    both = np.minimum(own / _typical(own), unlike / _typical(unlike))
    some, joint = _first(unlike, SOME), _first(both, SOME)
    apart = flat - match
    good_some, good_joint = match[:, some].mean(1), match[:, joint].mean(1)
    return np.concatenate(
        [
            flat[:, some].mean(1) - good_some, flat[:, joint].mean(1) - good_joint,
            good_some, good_joint,
            flat.mean(1), flat.std(1), apart.mean(1), apart.std(1),
            grid.shape_of(unlike), grid.shape_of(both),
        ]
    ).astype(np.float32)  # fmt: skip


def unlikeness(tokens: Tokens, template: Tokens | None = None) -> Tokens:
    """Give how unlike its surroundings, or its template, each token is."""
    dim, height, width = tokens.shape
    flat, grid = tokens.reshape(dim, -1), _TokenPlaces(height, width)
    unlike, _ = grid.unlike_rim(flat)
    if template is not None:
        beside, _ = grid.unlike_beside(flat, _like(template, tokens.shape))
        unlike = np.minimum(unlike / _typical(unlike), beside / _typical(beside))
    found: Tokens = unlike.reshape(height, width).astype(np.float32)
    return found


class _TokenPlaces:
    """Places of the tokens of a picture, and comparisons between them."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.rows, self.columns = (a.ravel() for a in np.mgrid[:height, :width])
        y = (self.rows + 0.5) / height - 0.5
        x = (self.columns + 0.5) / width - 0.5
        self.y, self.x = y, x
        self.middle = np.exp(-(y**2 + x**2) / (2 * MIDDLE**2)).astype(np.float32)
        self.rim = np.maximum(abs(y), abs(x)) > 0.5 - RIM

    def unlike_rim(self, flat: Tokens) -> tuple[Tokens, Tokens]:
        """Compare the inner tokens with those along the edges."""
        places = np.flatnonzero(self.rim)
        places = places[:: max(1, len(places) // MOST)]
        unlike, match = _unlike(flat, flat[:, places], None)
        unlike[self.rim] = 0
        return unlike, match

    def unlike_far(self, flat: Tokens) -> tuple[Tokens, Tokens]:
        """Compare every token with those that are not near to it."""
        step = 2 if len(self.rows) > 400 else 1
        places = np.flatnonzero((self.rows % step == 0) & (self.columns % step == 0))
        places = places[:: max(1, len(places) // MOST)]
        near = np.maximum(
            abs(self.y[:, None] - self.y[places]), abs(self.x[:, None] - self.x[places])
        )
        return _unlike(flat, flat[:, places], near < NEAR)

    def unlike_beside(self, flat: Tokens, template: Tokens) -> tuple[Tokens, Tokens]:
        """Compare every token with those of a template at about the same place."""
        best = np.full(flat.shape[1], -2.0, np.float32)
        match = np.zeros_like(flat)
        for down in range(-REACH, REACH + 1):
            for right in range(-REACH, REACH + 1):
                moved = np.roll(template, (down, right), (1, 2)).reshape(flat.shape)
                likeness = (flat * moved).sum(0)
                better = likeness > best
                best[better] = likeness[better]
                match[:, better] = moved[:, better]
        unlike = 1 - best
        inner = np.minimum(self.rows, self.height - 1 - self.rows) > REACH
        inner &= np.minimum(self.columns, self.width - 1 - self.columns) > REACH
        unlike[~inner] = 0  # the template's other side would answer there
        return unlike, match

    def shape_of(self, unlike: Tokens) -> Tokens:
        """How strong, how large and how long what is unlike is."""
        usual = float(np.median(unlike))
        weight = np.maximum(unlike - usual, 0)
        weight = weight / (weight.sum() + 1e-9)
        y, x = weight @ self.y, weight @ self.x
        yy = weight @ (self.y - y) ** 2
        xx = weight @ (self.x - x) ** 2
        yx = weight @ ((self.y - y) * (self.x - x))
        half, apart = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
        peak = float(unlike.max())
        area = float((unlike > 0.5 * (peak + usual)).mean())
        numbers = [
            float(unlike.mean()), peak, *np.percentile(unlike, [50, 90, 99]),
            np.sqrt(half), apart / (half + 1e-9), np.sqrt(area),
        ]  # fmt: skip
        return np.array(numbers, np.float32)


def _unlike(
    flat: Tokens, others: Tokens, close: NDArray[np.bool_] | None
) -> tuple[Tokens, Tokens]:
    """Give 1 - the best cosine, and the token that it is reached with."""
    likeness = flat.T @ others
    if close is not None:
        likeness[close] = -2
    best = likeness.argmax(1)
    unlike = 1 - likeness[np.arange(len(best)), best]
    return np.clip(unlike, 0, 2), others[:, best]


def _first(unlike: Tokens, share: float) -> NDArray[np.int64]:
    count = max(4, int(share * len(unlike)))
    return np.argsort(-unlike, kind="stable")[:count]


def _typical(unlike: Tokens) -> float:
    above = unlike[unlike > 0]
    return float(np.median(above)) if above.size else 1.0


def _like(template: Tokens, shape: tuple[int, ...]) -> Tokens:
    """Cut or repeat the template's edges to the picture's size."""
    if template.shape == shape:
        return template
    rows = np.clip(np.arange(shape[1]), 0, template.shape[1] - 1)
    columns = np.clip(np.arange(shape[2]), 0, template.shape[2] - 1)
    found: Tokens = template[:, rows][:, :, columns]
    return found
