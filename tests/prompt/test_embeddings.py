from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sesami.models import Embedding, build_tiny_sam
from napari_sesami.prompt import EmbeddingStore, Predictor
from napari_sesami.prompt.embeddings import EmbeddingKey, rounded
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from pathlib import Path

KEY = EmbeddingKey("abc", 0, (0, 0, 64, 64), 1, 1, "model", "norm")


def made(seed: int = 0) -> Embedding:
    numbers = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(seed))
    return rounded(Embedding(numbers, numbers[:, :4], (64, 60)))


def test_embeddings_come_back_from_disk_bit_for_bit(tmp_path: Path):
    EmbeddingStore(folder=tmp_path).put(KEY, made())
    back = EmbeddingStore(folder=tmp_path).get(KEY)
    assert back is not None
    assert torch.equal(back.image, made().image)
    assert torch.equal(back.tokens, made().tokens)
    assert back.input_size == (64, 60)


@pytest.mark.parametrize(
    "change",
    [
        {"content": "abd"},
        {"plane": 1},
        {"box": (0, 0, 64, 65)},
        {"shrink": 2},
        {"grow": 2},
        {"model": "other"},
        {"normalisation": "other"},
        {"format": 0},
    ],
)
def test_whatever_changes_makes_another_embedding(tmp_path: Path, change: dict):
    store = EmbeddingStore(folder=tmp_path)
    store.put(KEY, made())
    assert store.get(replace(KEY, **change)) is None


def test_a_file_of_another_key_is_never_used(tmp_path: Path):
    store = EmbeddingStore(folder=tmp_path)
    store.put(KEY, made())
    other = replace(KEY, plane=3)
    (tmp_path / KEY.file_name).rename(tmp_path / other.file_name)
    assert EmbeddingStore(folder=tmp_path).get(other) is None


def test_a_file_cut_short_is_made_anew(tmp_path: Path):
    EmbeddingStore(folder=tmp_path).put(KEY, made())
    path = tmp_path / KEY.file_name
    path.write_bytes(path.read_bytes()[:300])
    assert EmbeddingStore(folder=tmp_path).get(KEY) is None
    assert not path.exists()


def test_memory_is_capped_and_the_oldest_goes_first():
    one = made().nbytes
    store = EmbeddingStore(memory=3 * one)
    keys = [replace(KEY, plane=i) for i in range(5)]
    for key in keys[:3]:
        store.put(key, made())
    store.get(keys[0])  # used again
    store.put(keys[3], made())
    assert [k in store for k in keys] == [True, False, True, True, False]
    assert store.nbytes <= 3 * one


def test_the_disk_is_capped(tmp_path: Path):
    size = 1 << 16
    store = EmbeddingStore(folder=tmp_path, disk=size)
    for i in range(40):
        store.put(replace(KEY, plane=i), made(i))
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= size
    assert store.folder is not None
    assert (tmp_path / replace(KEY, plane=39).file_name).exists()


def test_a_session_later_nothing_is_encoded_again(tmp_path: Path, monkeypatch):
    image = np.random.default_rng(0).random((100, 100)).astype(np.float32)
    first = Predictor(build_tiny_sam(), EmbeddingStore(folder=tmp_path))
    mask = first.predict(Scan.from_array(image), points=[(50, 50)])
    model = build_tiny_sam()
    monkeypatch.setattr(model, "encode", None)  # calling it would fail
    later = Predictor(model, EmbeddingStore(folder=tmp_path))
    again = later.predict(Scan.from_array(image.copy()), points=[(50, 50)])
    np.testing.assert_array_equal(mask.full, again.full)


def test_files_say_in_plain_words_what_they_are(tmp_path: Path):
    from safetensors import safe_open

    EmbeddingStore(folder=tmp_path).put(KEY, made())
    with safe_open(tmp_path / KEY.file_name, framework="pt") as file:
        assert json.loads(file.metadata()["key"])["content"] == "abc"


def test_a_folder_that_cannot_be_written_costs_no_work(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = EmbeddingStore(folder=blocked / "cache")
    store.put(KEY, made())
    assert store.get(KEY) is not None
