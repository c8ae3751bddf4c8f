"""The published ways against straightforward reference code on fixed tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sesami.retrieve import RetrieveError, Rows, retrieve, to_pixels

N, M, D, P, C = 20, 40, 16, 4, 3


@pytest.fixture
def tokens() -> torch.Tensor:
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    return x / x.norm(dim=1, keepdim=True)


@pytest.fixture
def dense() -> Rows:
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(M, D)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    patches = rng.integers(1, C + 1, (M, P, P)).astype(np.uint8)
    return Rows(keys, patches, np.zeros((M, 3), np.int32), np.zeros(M, np.int64))


def loop(tokens: torch.Tensor, rows: Rows, method: str, k: int, beta: float):
    """The definition, pixel by pixel, neighbour by neighbour."""
    size = 1 if method == "histogram" else P
    out = np.zeros((N, C, size, size))
    for n in range(N):
        cosine = rows.tokens.astype(float) @ tokens[n].numpy().astype(float)
        order = np.argsort(-cosine)[:k]
        if method == "distance":
            w = 1 / (1 - cosine[order])
        else:
            w = np.exp(cosine[order] / beta - max(cosine[order]) / beta)
        w = w / w.sum()
        for share, m in zip(w, order, strict=True):
            for c in range(C):
                hit = rows.patches[m] == c + 1
                out[n, c] += share * (hit.mean() if size == 1 else hit)
    return out


@pytest.mark.parametrize(
    ("method", "k"), [("distance", 4), ("attention", 30), ("histogram", 30)]
)
def test_complete_patches_give_the_published_numbers(tokens, dense, method, k):
    ours = retrieve(tokens, dense, C, method, k, beta=0.02).numpy()
    np.testing.assert_allclose(ours, loop(tokens, dense, method, k, 0.02), atol=2e-5)


def test_unlabelled_pixels_do_not_become_background(tokens, dense):
    patches = dense.patches.copy()
    patches[:, 1:] = 255
    partly = Rows(dense.tokens, patches, dense.where, dense.stroke)
    out = retrieve(tokens, partly, C, "distance", 4)
    torch.testing.assert_close(out.sum(1), torch.ones(N, P, P))
    full = retrieve(tokens, dense, C, "distance", 4)
    torch.testing.assert_close(out[:, :, 0], full[:, :, 0])


def test_patches_return_to_their_places():
    evidence = torch.arange(6 * 2 * 4 * 4, dtype=torch.float32).reshape(6, 2, 4, 4)
    image = to_pixels(evidence, (2, 3), 4)
    assert image.shape == (2, 8, 12)
    torch.testing.assert_close(image[:, 4:8, 8:12], evidence[5])


def test_an_empty_bank_asks_for_a_stroke(tokens):
    with pytest.raises(RetrieveError, match="paint a stroke"):
        retrieve(tokens, Rows.empty(D, P), C)
