"""Learners of the active cycles: what labelled pixels teach, and maps from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from scipy import ndimage

from napari_sesami.common.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sesami.retrieve import TokenStore

    Layer = tuple[Tensor, Tensor]
    Labels = Mapping[int, NDArray[np.uint8]]

LearnerName = Literal["head", "retrieve"]
BLURS = (0.7, 1.5, 4.0)  # pixels
MEMORY = 768 << 20  # bytes of features kept
HIDDEN, STEPS, BATCH, RATE, DECAY = 32, 220, 512, 1e-2, 1e-3
PER_CLASS = 8000  # labelled pixels of a class that are looked at
ANSWERS, LEFT_OUT = 12, 0.25  # of the head with some of its hidden units
BALANCE = 0.5  # power by which a class is drawn less often than its share
NOVELTY_KEYS = 768  # labelled tokens that novelty is measured against
ROWS_PER_REGION = 24  # patches of a class that a region teaches the bank


class Features:
    """What the head sees of every pixel of a grid: its token, and its grey levels.

    Parameters
    ----------
    store
        Tokens of the scan.
    step
        Every so many pixels are on the grid.
    """

    def __init__(self, store: TokenStore, step: int) -> None:
        self.store, self.step = store, step
        self._kept: Recent[int, NDArray[np.float32]] = Recent(
            MEMORY, lambda features: features.nbytes
        )

    def __call__(self, plane: int) -> NDArray[np.float32]:
        """Features (h, w, F) of a plane's grid."""
        found = self._kept.get(plane)
        if found is None:
            self._kept[plane] = found = self._make(plane)
        return found

    def tokens(self, plane: int) -> NDArray[np.float32]:
        """Tokens (h, w, D) of a plane, computed if they are not there."""
        tokens = self.store.plane(plane)
        assert tokens is not None  # nothing can cancel it
        return tokens

    def _make(self, plane: int) -> NDArray[np.float32]:
        grey = self.store.scan.grey(plane)
        blurred = [grey, *(ndimage.gaussian_filter(grey, s) for s in BLURS)]
        edge = ndimage.gaussian_gradient_magnitude(grey, BLURS[1])
        cells = np.s_[self.step // 2 :: self.step, self.step // 2 :: self.step]
        own = np.stack([layer[cells] for layer in (*blurred, 4 * edge)], -1)
        return np.concatenate([self._tokens_at_cells(plane, grey.shape), own], -1)

    def _tokens_at_cells(
        self, plane: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Tokens between patch centres, bilinear, times √D so that they spread by 1."""
        import torch

        tokens = torch.from_numpy(self.tokens(plane)).permute(2, 0, 1)[None]
        reach = [n * self.store.patch for n in tokens.shape[2:]]
        y, x = (
            torch.arange(self.step // 2, n, self.step, dtype=torch.float32)
            .add(0.5)
            .mul(2 / r)
            .sub(1)
            for n, r in zip(shape, reach, strict=True)
        )
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
        found = torch.nn.functional.grid_sample(
            tokens, grid, padding_mode="border", align_corners=False
        )
        scaled = found[0].permute(1, 2, 0) * tokens.shape[1] ** 0.5
        return np.ascontiguousarray(scaled.numpy())


class Learner(Protocol):
    """Learns from the labels of a grid and answers with maps of a plane."""

    def fit(self, labels: Labels, seed: int) -> None:
        """Learn from (h, w) class ids per plane; 0 is unlabelled."""
        ...

    def maps(
        self, plane: int, novelty: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Probabilities (h, w, C), and novelty (h, w) if asked for."""
        ...

    def disagreement(self, plane: int) -> NDArray[np.float32]:
        """How far several answers contradict each other, (h, w)."""
        ...


class HeadLearner:
    """A small classifier on the tokens of the pretrained encoder.

    Parameters
    ----------
    features
        Of the scan.
    n_classes
        How many class ids there are.
    restart
        True: every fit starts from the pretrained encoder alone, as in the published
        cycles. False: it goes on from the last fit.
    """

    def __init__(
        self, features: Features, n_classes: int, restart: bool = True
    ) -> None:
        self.features, self.n_classes, self.restart = features, n_classes, restart
        self._net: Any = None
        self._scale: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._folded: tuple[Layer, Layer]
        self._keys = np.zeros((0, 1), np.float32)

    def fit(self, labels: Labels, seed: int) -> None:
        """See `Learner.fit`."""
        rng = np.random.default_rng([seed, 7])
        x, y = self._gather(labels, rng)
        drawn = np.bincount(y, minlength=self.n_classes).astype(np.float64)
        if self._scale is None or self.restart:
            self._scale = x.mean(0), np.maximum(x.std(0), 1e-2)
        x = (x - self._scale[0]) / self._scale[1]
        self._train(x.astype(np.float32), y, seed)
        self._fold(_prior(_counts(labels, self.n_classes), drawn))
        self._keys = self._labelled_tokens(labels, rng)

    def maps(
        self, plane: int, novelty: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """See `Learner.maps`."""
        import torch

        features = torch.from_numpy(self.features(plane))
        with torch.inference_mode():
            first, second = self._folded
            hidden = torch.nn.functional.linear(features, *first)
            logits = torch.nn.functional.linear(hidden.relu_(), *second)
            p = torch.softmax(logits, -1).numpy()
        return p, self._novelty(plane, p.shape[:2]) if novelty else None

    def disagreement(self, plane: int) -> NDArray[np.float32]:
        """BALD of the head with hidden units left out, always the same ones."""
        import torch

        from napari_sesami.suggest import disagreement

        features = torch.from_numpy(self.features(plane))
        generator = torch.Generator().manual_seed(0)
        answers = []
        with torch.inference_mode():
            first, (weight, bias) = self._folded
            hidden = torch.nn.functional.linear(features, *first).relu_()
            for _ in range(ANSWERS):
                kept = torch.rand(HIDDEN, generator=generator) >= LEFT_OUT
                thinned = weight * (kept / (1 - LEFT_OUT))
                logits = torch.nn.functional.linear(hidden, thinned, bias)
                answers.append(torch.softmax(logits, -1).numpy())
        return disagreement(answers)

    def _gather(
        self, labels: Labels, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features and classes (from 0) of labelled pixels, so many of each class."""
        counts = _counts(labels, self.n_classes)
        keep = np.r_[0, np.minimum(PER_CLASS / np.maximum(counts, 1), 1.0)]
        xs, ys = [], []
        for plane, known in sorted(labels.items()):
            taken = rng.random(known.shape) < keep[known]
            if taken.any():
                xs.append(self.features(plane)[taken])
                ys.append(known[taken].astype(np.int64) - 1)
        return np.concatenate(xs), np.concatenate(ys)

    def _train(self, x: NDArray[np.float32], y: NDArray[np.int64], seed: int) -> None:
        import torch
        from torch import nn

        generator = torch.Generator().manual_seed(seed)
        if self._net is None or self.restart:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self._net = nn.Sequential(
                    nn.Linear(x.shape[1], HIDDEN),
                    nn.ReLU(),
                    nn.Linear(HIDDEN, self.n_classes),
                )
        net: nn.Module = self._net
        counts = np.bincount(y, minlength=self.n_classes)
        weight = torch.from_numpy(np.maximum(counts, 1.0)[y] ** -BALANCE)
        data, truth = torch.from_numpy(x), torch.from_numpy(y)
        adam = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
        plan = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, STEPS)
        for _ in range(STEPS):
            pick = torch.multinomial(weight, BATCH, True, generator=generator)
            adam.zero_grad()
            loss = nn.functional.cross_entropy(net(data[pick]), truth[pick])
            torch.autograd.backward(loss)
            adam.step()
            plan.step()

    def _fold(self, prior: NDArray[np.float32]) -> None:
        """Put the scale of the features and the prior of the classes into the net."""
        import torch

        assert self._scale is not None
        mean, spread = (torch.from_numpy(part) for part in self._scale)
        first, _, second = self._net
        with torch.no_grad():
            weight = first.weight / spread
            bias = first.bias - weight @ mean
            last = second.bias + torch.from_numpy(prior)
            self._folded = (weight, bias), (second.weight.clone(), last)

    def _labelled_tokens(
        self, labels: Labels, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        found = []
        for plane, known in sorted(labels.items()):
            tokens = self.features.tokens(plane)
            found.append(tokens[_on_tokens(known, tokens.shape[:2]) > 0])
        keys = np.concatenate(found)
        if len(keys) > NOVELTY_KEYS:
            keys = keys[rng.permutation(len(keys))[:NOVELTY_KEYS]]
        return keys

    def _novelty(self, plane: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        tokens = self.features.tokens(plane)[::2, ::2]
        flat = tokens.reshape(-1, tokens.shape[-1])
        best = (flat @ self._keys.T).max(1, initial=-1).reshape(tokens.shape[:2])
        rows, columns = (
            np.minimum(np.arange(n) * m // n, m - 1)
            for n, m in zip(shape, best.shape, strict=True)
        )
        return np.clip(1 - best[rows][:, columns], 0, 1)


class VoteLearner:
    """Votes of the bank: no training; a region teaches a few patches of each class."""

    def __init__(self, features: Features, n_classes: int) -> None:
        self.features, self.n_classes = features, n_classes
        self._retriever: object = None

    def fit(self, labels: Labels, seed: int) -> None:
        """See `Learner.fit`."""
        from napari_sesami.retrieve import Retriever

        store, step = self.features.store, self.features.step
        found = Retriever(store, self.n_classes)
        for plane, known in sorted(labels.items()):
            self.features.tokens(plane)
            rng = np.random.default_rng([seed, plane])
            strokes = _some_patches(known, store.patch // step or 1, rng)
            full = np.zeros(store.scan.plane_shape, np.uint8)
            full[step // 2 :: step, step // 2 :: step] = strokes
            owners = plane * 255 + full.astype(np.int64) + 1
            found.set_strokes(plane, full, np.where(full > 0, owners, 0))
        self._retriever = found

    def maps(
        self, plane: int, novelty: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """See `Learner.maps`."""
        from napari_sesami.retrieve import Retriever

        assert isinstance(self._retriever, Retriever)
        self.features.tokens(plane)
        said = self._retriever.segment(plane, refine=False, pixels=False)
        self._retriever.forget(plane)
        step = self.features.step
        cells = np.s_[step // 2 :: step, step // 2 :: step]
        p = np.ascontiguousarray(said.votes[cells])
        return p, said.novelty[cells] if novelty else None

    def disagreement(self, plane: int) -> NDArray[np.float32]:
        """BALD of the trees that learn the same patches."""
        from napari_sesami.retrieve import Retriever

        assert isinstance(self._retriever, Retriever)
        self.features.tokens(plane)
        step = self.features.step
        found = self._retriever.disagreement(plane)
        return np.ascontiguousarray(found[step // 2 :: step, step // 2 :: step])


def _counts(labels: Labels, n_classes: int) -> NDArray[np.float64]:
    """Labelled pixels per class, (C,)."""
    total = np.zeros(n_classes + 1)
    for known in labels.values():
        total += np.bincount(known.ravel(), minlength=n_classes + 1)
    return total[1:]


def _prior(
    labelled: NDArray[np.float64], drawn: NDArray[np.float64]
) -> NDArray[np.float32]:
    """What to add to logits learned from balanced draws; −∞ for an unlabelled class."""
    seen = drawn > 0
    seen_as = np.maximum(drawn, 1) ** (1 - BALANCE)
    seen_as /= seen_as[seen].sum()
    share = np.maximum(labelled, 1) / max(labelled.sum(), 1)
    return np.where(seen, np.log(share / seen_as), -np.inf).astype(np.float32)


def _on_tokens(known: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Labels at the patch centres."""
    rows, columns = (
        np.minimum(((np.arange(m) + 0.5) * n / m).astype(int), n - 1)
        for n, m in zip(known.shape, shape, strict=True)
    )
    return known[rows][:, columns]


def _some_patches(
    known: NDArray[np.uint8], side: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Keep the labels of a few patches per class and connected region."""
    out = np.zeros_like(known)
    areas, _ = ndimage.label(known > 0)
    for c in np.unique(known[known > 0]):
        for area in np.unique(areas[known == c]):
            ys, xs = np.nonzero((known == c) & (areas == area))
            cells = np.unique(ys // side * known.shape[1] + xs // side)
            kept = rng.permutation(cells)[:ROWS_PER_REGION]
            inside = np.isin(ys // side * known.shape[1] + xs // side, kept)
            out[ys[inside], xs[inside]] = c
    return out
