"""Units of all vendors come to the few a scan carries, or stay what they are."""

from __future__ import annotations

import pytest

from napari_sesami.scan import parse_unit, readable
from napari_sesami.scan.units import clean_axes, clean_size


@pytest.mark.parametrize(
    "unit, spellings",
    {
        "µm": ["micron", "microns", "um", "µm", "\u03bcm", "micrometer", "\\u00B5m"],
        "Å": ["Å", "\u212b", "A\u030a", "A", "angstrom", "Angstroms"],
        "nm": ["nm", "nanometer", "nanometre", "n_m", "[n_m]", b"nm", " NM "],
        "pm": ["pm", "picometer"],
        "m": ["m", "Meter", "(m)"],
        "s": ["s", "sec", "Seconds"],
        "1/nm": ["1/nm", "nm^-1", "nm-1", "nm⁻¹", "1 / nm", "[1/n_m]"],
        "furlong": ["furlong"],
        None: [None, "", "pixel", "px", "pixels", "1"],
    }.items(),
)
def test_spellings(unit, spellings):
    assert {parse_unit(s) for s in spellings} == {unit}


@pytest.mark.parametrize("value", [0, -10, float("nan"), float("inf"), None, "", "abc"])
def test_what_is_no_size_is_unknown(value):
    assert clean_size(value, "nm") == (None, None)


def test_a_number_without_unit_is_unknown():
    assert clean_size(2.0, None) == (None, None)
    assert clean_size(2.0, "pixel") == (None, None)


def test_numbers_come_as_text_bytes_and_with_a_comma():
    assert clean_size("2.5", "nm") == (2.5, "nm")
    assert clean_size(b"2.5", b"nm") == (2.5, "nm")
    assert clean_size("2,5", "nm") == (2.5, "nm")


def test_metres_and_other_lengths_become_readable():
    assert clean_size(3.3724e-06, "m") == (3.3724, "µm")
    assert clean_size(1e-9, "m") == (1.0, "nm")
    assert clean_size(2.0, "cm") == (20.0, "mm")
    assert readable(9.999999e-7)[1] == "nm" or readable(9.999999e-7) == (
        0.9999999,
        "µm",
    )


def test_reciprocal_sizes_and_times_stay_what_they_are():
    assert clean_size(0.5, "s") == (0.5, "s")
    size, unit = clean_size(1.1443e8, "1/m")
    assert unit == "1/nm"
    assert size == pytest.approx(0.11443)


def test_refused_values_are_named_with_their_axis():
    sizes, units, notes = clean_axes(
        ("z", "y", "x"), [(0.0, "Å"), (-10, "Å"), (2.0, "Å")]
    )
    assert sizes == (None, None, 2.0)
    assert units == (None, None, "Å")
    assert "-10 Å along y" in notes[1]
    assert len(notes) == 2
