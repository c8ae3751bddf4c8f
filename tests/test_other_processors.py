"""Retrieval, sessions and prompts on other processors, as far as one can be another.

Run with: pytest tests/test_other_processors.py -m slow

Each case runs the tests of three rooms in a process whose libraries were told to do
without newer instructions, or in one and two threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sesami.retrieve import Retriever, TokenStore
from napari_sesami.scan import Scan

ROOT = Path(__file__).parents[1]
ROOMS = ("retrieve", "session", "prompt")
PROCESSORS = {
    "no vectors": {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1"},
    "MKL for any processor": {"MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_tests_pass_on_another_processor(processor: str, room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"tests/{room}", "-q", "-x"],
        env={**os.environ, **PROCESSORS[processor]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


class Greys:
    """Tokens of four grey levels: nothing in them depends on the processor."""

    name, key, stride, dim, tile = "greys", "greys-1", 4, 4, 64
    device = torch.device("cpu")

    def encode(self, view: torch.Tensor, normalise: bool = False) -> torch.Tensor:
        far = torch.arange(4).view(1, 4, 1, 1) / 4 - view[:, :, ::4, ::4]
        tokens = (far.abs() * -8).round() / 16 + 1
        return torch.nn.functional.normalize(tokens, dim=1)


def segmented() -> dict[str, np.ndarray]:
    """Votes and labels of a striped scan, quickly and with fine borders."""
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 2, 3, 2], 32)[:, None] * np.ones((1, 120), int)
    grey = (1000 * truth + 300 * rng.normal(size=truth.shape)).clip(0).astype(np.uint16)
    strokes = np.zeros(truth.shape, np.uint8)
    for y in (10, 50, 80, 110):
        strokes[y : y + 3, 20:60] = truth[y, 0]
    retriever = Retriever(TokenStore(Scan.from_array(grey), Greys()), 3)
    retriever.set_strokes(0, strokes, strokes.astype(np.int64))
    retriever.tune()
    quick, fine = (retriever.segment(0, refine=refine) for refine in (False, True))
    return {
        "tau": np.array(retriever.temper.tau),
        "sums": retriever._sums[0].votes,
        "quick": quick.votes,
        "quick labels": quick.labels,
        "novelty": quick.novelty,
        "fine": fine.votes,
        "fine labels": fine.labels,
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_labels_agree_within_what_the_docs_say(processor: str, tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from tests.test_other_processors import segmented;"
        "np.savez(sys.argv[1], **segmented())"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "there.npz")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **PROCESSORS[processor],
        },
        cwd=ROOT,
        check=True,
    )
    here, there = segmented(), np.load(tmp_path / "there.npz")
    for exact in ("tau", "sums"):
        np.testing.assert_array_equal(there[exact], here[exact])
    for close in ("quick", "novelty"):
        np.testing.assert_allclose(there[close], here[close], atol=1e-5)
    for few in ("quick labels", "fine labels"):
        assert (there[few] != here[few]).mean() < 1e-3
    apart = np.abs(there["fine"] - here["fine"]).max(-1)
    assert (apart > 1e-5).mean() < 1e-3
