"""The same bits however a product is made: shapes, threads, layouts, precisions."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sesami.retrieve import (
    BankCard,
    BankFile,
    Rows,
    VoteTemperature,
    load_bank,
    save_bank,
)
from napari_sesami.retrieve.condense import condense, own_probability
from napari_sesami.retrieve.exact import (
    SIMILARITY_STEPS,
    TOKEN_STEPS,
    kernel,
    kernels,
    on_grid,
    similarities,
)
from napari_sesami.retrieve.voting import (
    best_similarity,
    count_votes,
    left_out_score,
    tune,
)

TEMPER = VoteTemperature(tau=0.07)


def unit(n: int, dim: int = 64, seed: int = 0, like: float = 1.5) -> np.ndarray:
    """Tokens that resemble each other, as those of a scan do."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim)) + like * np.random.default_rng(9).normal(size=dim)
    x = x.astype(np.float32)
    return on_grid(x / np.linalg.norm(x, axis=-1, keepdims=True))


def rows_of(n: int, dim: int = 64, classes: int = 3) -> Rows:
    rng = np.random.default_rng(n)
    patches = np.full((n, 4, 4), 255, np.uint8)
    main = np.arange(n) % classes + 1
    for i, many in enumerate(rng.integers(1, 17, n)):
        patches[i].ravel()[:many] = main[i]
    where = np.zeros((n, 3), np.int32)
    return Rows(unit(n, dim, n), patches, where, np.arange(n, dtype=np.int64) // 9)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def precision():
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("dim", [3, 64, 768, 4096])
def test_a_similarity_is_the_true_sum_of_products(dim):
    a, b = unit(5, dim, 1), unit(4, dim, 2)
    found = similarities(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    for i, j in itertools.product(range(5), range(4)):
        pairs = zip(a[i].tolist(), b[j].tolist(), strict=True)
        assert found[i, j] == sum(Fraction(x) * Fraction(y) for x, y in pairs)


def test_tokens_in_the_worst_place_are_exact_too():
    """All numbers alike, or one of them 1: the longest that rounding can make."""
    for dim in (1, 2, 64, 1000):
        token = on_grid(np.full((1, dim), dim**-0.5, np.float32))
        alone = on_grid(np.eye(1, dim, dtype=np.float32))
        for a, b in itertools.product((token, alone), repeat=2):
            found = similarities(torch.from_numpy(a), torch.from_numpy(b))
            exact = a.astype(np.float64) @ b.astype(np.float64).T
            assert found.item() == exact.item()


def test_rounding_twice_changes_nothing_and_half_precision_loses_nothing():
    tokens = unit(200)
    np.testing.assert_array_equal(on_grid(tokens), tokens)
    np.testing.assert_array_equal(tokens.astype(np.float16).astype(np.float32), tokens)
    assert (tokens * TOKEN_STEPS == np.round(tokens * TOKEN_STEPS)).all()
    assert np.isfinite(on_grid(np.array([[np.nan, np.inf, 0]], np.float32))).all()
    raw = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    rows = Rows(raw, np.ones((9, 2, 2), np.uint8), np.zeros((9, 3)), np.arange(9))
    np.testing.assert_array_equal(rows.tokens, on_grid(raw))


@pytest.mark.parametrize("tau", [0.002, 0.02, 0.07, 0.2, 1.0])
def test_the_kernel_is_the_exponential_to_its_last_step(tau):
    s = np.r_[-1.01, -1, -0.3, 0, 0.5, 0.9, 0.9999, 1, 1.003].astype(np.float32)
    found = kernel(torch.from_numpy(s), tau).numpy()
    rounded = np.clip(np.floor(s * 2.0**14 + 0.5) / 2.0**14, -1, 1)
    expected = [math.exp((x - 1) / tau) for x in rounded]
    np.testing.assert_allclose(found, expected, atol=0.5001 * 2.0**-24, rtol=0)
    steps = found * 2.0**24
    assert (steps == np.round(steps)).all()
    every = torch.arange(-SIMILARITY_STEPS, SIMILARITY_STEPS + 1) / SIMILARITY_STEPS
    assert bool((kernel(every, tau).diff() >= 0).all())


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_votes_do_not_depend_on_how_many_come_at_a_time(at_once, n_threads, threads):
    tokens, rows = torch.from_numpy(unit(1003)), rows_of(1000)
    whole, best = count_votes(tokens, rows, 3, TEMPER)
    threads(n_threads)
    by_token = [
        count_votes(tokens[i : i + at_once], rows, 3, TEMPER)
        for i in range(0, min(len(tokens), 40 * at_once), at_once)
    ]
    some = np.concatenate([votes for votes, _ in by_token])
    np.testing.assert_array_equal(some, whole[: len(some)])
    np.testing.assert_array_equal(
        np.concatenate([top for _, top in by_token]), best[: len(some)]
    )
    some_tokens = tokens[:90]
    total, top = np.zeros((90, 3)), np.full(90, -1, np.float32)
    for i in np.random.default_rng(0).permutation(range(0, 1000, at_once)):
        part = rows.take(slice(i, i + at_once))
        votes, near = count_votes(some_tokens, part, 3, TEMPER)
        total += votes
        np.maximum(top, near, out=top)
        np.testing.assert_array_equal(near, best_similarity(some_tokens, part))
    np.testing.assert_array_equal(total, whole[:90])
    np.testing.assert_array_equal(top, best[:90])


def layouts(tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same numbers, differently laid out in memory."""
    n, dim = tokens.shape
    odd = torch.empty(n * dim + 1)[1:].view(n, dim)
    wide = torch.empty(n, 2 * dim + 3)[:, 3 : 3 + dim]
    every = torch.empty(2 * n, dim)[::2]
    for place in (odd, wide, every):
        place.copy_(tokens)
    turned = tokens.T.contiguous().T
    return {"odd": odd, "wide": wide, "every second": every, "turned": turned}


@pytest.mark.parametrize("layout", ["odd", "wide", "every second", "turned"])
def test_votes_do_not_depend_on_the_layout_in_memory(layout):
    tokens, rows = torch.from_numpy(unit(257)), rows_of(131)
    expected = count_votes(tokens, rows, 3, TEMPER)
    found = count_votes(layouts(tokens)[layout], rows, 3, TEMPER)
    keys = layouts(torch.from_numpy(rows.tokens))[layout].numpy()
    turned = Rows(keys, rows.patches, rows.where, rows.stroke)
    for other in (found, count_votes(tokens, turned, 3, TEMPER)):
        np.testing.assert_array_equal(other[0], expected[0])
        np.testing.assert_array_equal(other[1], expected[1])


@pytest.mark.parametrize("allowed", ["high", "medium"])
def test_products_of_less_precision_are_not_used(allowed, precision):
    tokens, rows = torch.from_numpy(unit(600)), rows_of(500)
    expected = count_votes(tokens, rows, 3, TEMPER)
    scores = [left_out_score(rows, 3, VoteTemperature(tau=t)) for t in (0.02, 0.2)]
    precision(allowed)
    found = count_votes(tokens, rows, 3, TEMPER)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert scores == [
        left_out_score(rows, 3, VoteTemperature(tau=t)) for t in (0.02, 0.2)
    ]


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_neither_autocast_nor_a_missing_library_changes_a_vote():
    tokens, rows = torch.from_numpy(unit(600)), rows_of(500)
    expected = count_votes(tokens, rows, 3, TEMPER)[0]
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(count_votes(tokens, rows, 3, TEMPER)[0], expected)
    with torch.backends.mkldnn.flags(enabled=False):
        np.testing.assert_array_equal(count_votes(tokens, rows, 3, TEMPER)[0], expected)
    by_numpy = tokens.numpy() @ rows.tokens.T  # another library
    np.testing.assert_array_equal(
        similarities(tokens, torch.from_numpy(rows.tokens)).numpy(), by_numpy
    )


def test_condensing_does_not_depend_on_threads_or_portions(threads, monkeypatch):
    from napari_sesami.retrieve import condense as condensing

    rows = rows_of(900)
    first = condense(rows, 3, cap=200)
    p = own_probability(rows, rows, 3, TEMPER)
    threads(2)
    monkeypatch.setattr(condensing, "CHUNK", 37)
    again = condense(rows, 3, cap=200)
    np.testing.assert_array_equal(again.rows.tokens, first.rows.tokens)
    np.testing.assert_array_equal(again.rows.stroke, first.rows.stroke)
    np.testing.assert_array_equal(own_probability(rows, rows, 3, TEMPER), p)
    assert tune(rows, 3) == tune(rows.take(np.arange(len(rows))), 3)


def test_a_bank_comes_back_from_disk_with_the_same_votes(tmp_path):
    rows, tokens = rows_of(70), torch.from_numpy(unit(300))
    card = BankCard("texture", "texture-1", 4, None, None, {}, ())
    save_bank(tmp_path / "a.bank", BankFile(rows, card))
    back = load_bank(tmp_path / "a.bank").rows
    np.testing.assert_array_equal(back.tokens, rows.tokens)
    np.testing.assert_array_equal(
        count_votes(tokens, back, 3, TEMPER)[0], count_votes(tokens, rows, 3, TEMPER)[0]
    )


def digest() -> str:
    """Name the bits of votes, kernels, a condensed bank and a choice."""
    rows, tokens = rows_of(700), torch.from_numpy(unit(2000))
    made = hashlib.sha256()
    for part in count_votes(tokens, rows, 3, TEMPER):
        made.update(part.tobytes())
    made.update(kernels(rows.tokens, rows.tokens, 0.02).tobytes())
    made.update(condense(rows, 3, cap=200).rows.tokens.tobytes())
    return f"{made.hexdigest()} {tune(rows, 3)[0].tau}"


ANOTHER = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    "OMP_NUM_THREADS": "2",
}


def test_an_older_processor_counts_the_same_votes():
    """As far as one machine can be another; test_other_processors runs all tests so."""
    code = "from tests.retrieve.test_exact import digest; print(digest())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **ANOTHER},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()
