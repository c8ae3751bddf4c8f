"""Banks travel between scans, or say in a sentence why they do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from napari_sesami.retrieve import (
    BankCard,
    BankClass,
    BankFile,
    PixelSamples,
    RetrieveError,
    Rows,
    combine,
    fitting_zoom,
    load_bank,
    save_bank,
)
from napari_sesami.retrieve.pixel_features import N_LOOKS
from napari_sesami.scan import Scan

OXIDE, VOID = BankClass(1, "oxide", "#ff0000"), BankClass(2, "void", "#00ff00")


@dataclass
class Encoder:
    name: str = "nano"
    key: str = "abc"
    stride: int = 4


def make(size: float | None = 2.0, classes=(OXIDE, VOID), seed=0) -> BankFile:
    rng = np.random.default_rng(seed)
    patches = rng.choice([1, 2, 255], (5, 4, 4)).astype(np.uint8)
    rows = Rows(
        rng.normal(size=(5, 8)).astype(np.float16).astype(np.float32),
        patches,
        rng.integers(0, 9, (5, 3)).astype(np.int32),
        np.arange(5),
    )
    scan = Scan.from_array(np.arange(64.0).reshape(8, 8), pixel_size=size, units="nm")
    if size is None:
        scan = Scan.from_array(np.arange(64.0).reshape(8, 8))
    return BankFile(rows, BankCard.of(scan, Encoder(), 4, classes), None)


@pytest.mark.parametrize("thumbnails", [None, np.zeros((5, 32, 32), np.uint8)])
def test_a_bank_comes_back_as_it_was(tmp_path, thumbnails):
    bank = replace(make(), thumbnails=thumbnails)
    save_bank(tmp_path / "device.bank", bank)
    back = load_bank(tmp_path / "device.bank")
    assert back.card == bank.card
    for name in ("tokens", "patches", "where", "stroke"):
        np.testing.assert_array_equal(
            getattr(back.rows, name), getattr(bank.rows, name)
        )
    assert (back.thumbnails is None) == (thumbnails is None)
    assert list(tmp_path.iterdir()) == [tmp_path / "device.bank"]


@pytest.mark.parametrize(
    ("size", "unit", "zoom"), [(2, "nm", 1), (1, "nm", 0.5), (0.004, "µm", 2)]
)
def test_another_magnification_is_resampled(size, unit, zoom):
    scan = Scan.from_array(np.eye(8), pixel_size=size, units=unit)
    assert fitting_zoom(make().card, scan, Encoder()) == pytest.approx(zoom)


def test_a_far_magnification_is_refused():
    scan = Scan.from_array(np.eye(8), pixel_size=1, units="µm")
    with pytest.raises(RetrieveError, match="too different in magnification"):
        fitting_zoom(make().card, scan, Encoder())


def test_an_unknown_pixel_size_on_one_side_is_refused():
    with pytest.raises(RetrieveError, match="pixel size is unknown"):
        fitting_zoom(make().card, Scan.from_array(np.eye(8)), Encoder())
    assert fitting_zoom(make(None).card, Scan.from_array(np.eye(8)), Encoder()) == 1


def test_another_encoder_is_refused():
    scan = Scan.from_array(np.eye(8), pixel_size=2, units="nm")
    with pytest.raises(RetrieveError, match="made with the encoder nano"):
        fitting_zoom(make().card, scan, Encoder(key="other"))


@pytest.mark.parametrize("content", [b"", b"not a bank", b"\x80\x04pickle" * 10])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "x.bank"
    path.write_bytes(content)
    with pytest.raises(RetrieveError, match=r"x\.bank cannot be read as a bank"):
        load_bank(path)


def test_combining_joins_classes_by_name():
    other = make(
        classes=(BankClass(1, "void", "#0000ff"), BankClass(2, "ceria", "#fff000")),
        seed=1,
    )
    both = combine(make(), other)
    assert [(c.id, c.name) for c in both.card.classes] == [
        (1, "oxide"),
        (2, "void"),
        (3, "ceria"),
    ]
    theirs, ours = other.rows.patches, both.rows.patches[5:]
    np.testing.assert_array_equal(ours == 2, theirs == 1)
    np.testing.assert_array_equal(ours == 3, theirs == 2)
    np.testing.assert_array_equal(ours == 255, theirs == 255)
    assert len(set(both.rows.stroke.tolist())) == 10


def test_combining_different_scales_is_refused():
    with pytest.raises(RetrieveError, match="differ in encoder or in the size"):
        combine(make(2.0), make(0.5))


def pixels(seed: int = 0) -> PixelSamples:
    features = np.random.default_rng(seed).random((4, 8 + N_LOOKS), np.float32)
    features = features.astype(np.float16).astype(np.float32)
    return PixelSamples(features, np.array([1, 1, 2, 2], np.uint8), np.arange(4))


def test_stroked_pixels_travel_with_a_bank(tmp_path):
    save_bank(tmp_path / "device.bank", replace(make(), pixels=pixels()))
    back = load_bank(tmp_path / "device.bank").pixels
    np.testing.assert_array_equal(back.features, pixels().features)
    assert back.classes.tolist() == [1, 1, 2, 2]


def test_pixels_that_are_described_otherwise_are_left_alone(tmp_path):
    older = replace(pixels(), features=pixels().features[:, :-1])
    save_bank(tmp_path / "device.bank", replace(make(), pixels=older))
    found = load_bank(tmp_path / "device.bank")
    assert found.pixels is None
    assert len(found.rows) == 5


def test_combining_joins_the_pixels_with_their_classes_and_strokes():
    first = replace(make(), pixels=pixels(0))
    other = replace(make(classes=(replace(VOID, id=1), replace(OXIDE, id=2)), seed=1))
    both = combine(first, replace(other, pixels=pixels(1))).pixels
    assert both.classes.tolist() == [1, 1, 2, 2, 2, 2, 1, 1]
    assert len(set(both.stroke.tolist())) == 8
    assert len(combine(first, other).pixels) == 4
