"""DICOM: rows before columns, signed and rescaled values, folders of slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from napari_sesami.scan import ScanError, open_scan

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
VALUES = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)


def made(path: Path, pixels: Any = VALUES, **tags: Any) -> Path:
    """Write a DICOM file; further tags by their keywords."""
    pixels = np.asarray(pixels)
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
    header.Modality, header.SeriesInstanceUID = "CT", "1.2.3"
    header.Rows, header.Columns = pixels.shape[-2:]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8 * pixels.dtype.itemsize
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        header.NumberOfFrames = len(pixels)
    for name, value in tags.items():
        setattr(header, name, value)
    header.PixelData = pixels.tobytes()
    header.save_as(path, enforce_file_format=True)
    return path


def test_a_real_slice_has_millimetres_and_hounsfield_units() -> None:
    scan = open_scan(SAMPLES / "CT_small.dcm")
    assert scan.shape == (128, 128)
    assert scan.pixel_size == pytest.approx((0.661468, 0.661468))
    assert scan.units == ("mm", "mm")
    stored = pydicom.dcmread(SAMPLES / "CT_small.dcm").pixel_array
    np.testing.assert_array_equal(scan.plane(0), stored.astype(int) - 1024)


def test_spacing_is_row_then_column(tmp_path: Path) -> None:
    scan = open_scan(made(tmp_path / "a.dcm", PixelSpacing=[0.02, 0.01]))
    assert scan.pixel_size == (0.02, 0.01)


def test_signed_values_stay_signed(tmp_path: Path) -> None:
    np.testing.assert_array_equal(open_scan(made(tmp_path / "a.dcm")).plane(0), VALUES)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1, -1024, np.int32), (0.5, 0.25, np.float32), (1, 0, np.int16)],
)
def test_rescaled_values(
    tmp_path: Path, slope: float, intercept: float, dtype: Any
) -> None:
    tags = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    scan = open_scan(made(tmp_path / "a.dcm", **tags))
    assert scan.plane(0).dtype == scan.data.dtype == dtype
    np.testing.assert_array_equal(scan.plane(0), VALUES * slope + intercept)


def test_frames_are_a_lazy_volume(tmp_path: Path) -> None:
    data = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    tags = {"PixelSpacing": [0.02, 0.01], "SliceThickness": 0.05}
    scan = open_scan(made(tmp_path / "v.dcm", data, **tags))
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (0.05, 0.02, 0.01)
    assert scan.data.chunks[0] == (1, 1)
    np.testing.assert_array_equal(scan.plane(1), data[1])


def test_size_on_the_detector_is_no_size_in_the_specimen(tmp_path: Path) -> None:
    scan = open_scan(made(tmp_path / "dx.dcm", ImagerPixelSpacing=[0.2, 0.2]))
    assert scan.pixel_size == (None, None)
    assert "magnification is not known" in scan.metadata["notes"][0]


def test_a_folder_of_slices_is_ordered_by_position(tmp_path: Path) -> None:
    for name, z in (("c", 0.0), ("a", 0.4), ("b", 0.2)):
        tags = {
            "ImagePositionPatient": [0, 0, z],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.02, 0.01],
            "SliceThickness": 0.9,
        }
        made(tmp_path / name, np.full((3, 4), int(z * 10), np.uint16), **tags)
    scan = open_scan(tmp_path)
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == pytest.approx((0.2, 0.02, 0.01))
    assert [int(scan.plane(i)[0, 0]) for i in range(3)] == [0, 2, 4]


def test_slices_at_uneven_distances_have_no_z_size(tmp_path: Path) -> None:
    for i, z in enumerate((0.0, 0.1, 0.9)):
        made(tmp_path / f"{i}.dcm", ImagePositionPatient=[0, 0, z])
    scan = open_scan(tmp_path)
    assert scan.pixel_size[0] is None
    assert "uneven distances" in scan.metadata["notes"][-1]


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_bigendian", "JPEG2000"])
def test_other_encodings_decode_to_native_numbers(name: str) -> None:
    scan = open_scan(SAMPLES / f"{name}.dcm")
    assert scan.plane(0).dtype == scan.data.dtype == np.int16


def test_colour_opens() -> None:
    assert open_scan(SAMPLES / "examples_rgb_color.dcm").is_rgb


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rtplan", "without pixels .it is RTPLAN"),
        ("JPEGLSNearLossless_08", "compressed in a way"),
        ("MR_truncated", "MR_truncated"),
        ("no_meta", "not a DICOM file"),
    ],
)
def test_files_that_cannot_open_say_why(name: str, why: str) -> None:
    with pytest.raises(ScanError, match=why):
        open_scan(SAMPLES / f"{name}.dcm")


def test_an_encrypted_file_is_told(tmp_path: Path) -> None:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.SOPInstanceUID, header.SOPClassUID = generate_uid(), CTImageStorage
    header.EncryptedAttributesSequence = [Dataset()]
    header.save_as(tmp_path / "secret.dcm", enforce_file_format=True)
    with pytest.raises(ScanError, match=r"secret\.dcm is encrypted"):
        open_scan(tmp_path / "secret.dcm")


def test_a_zip_under_the_name_is_told(tmp_path: Path) -> None:
    file = tmp_path / "locked.dcm"
    file.write_bytes(b"PK\x03\x04" + b"\1" * 500)
    with pytest.raises(ScanError, match=r"locked\.dcm"):
        open_scan(file)


@pytest.mark.parametrize("keep", [0, 100, 300, 3000])
def test_cut_off_files_give_a_sentence(tmp_path: Path, keep: int) -> None:
    whole = made(tmp_path / "w.dcm", np.ones((64, 64), np.uint16))
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ScanError, match=r"cut\.dcm"):
        open_scan(cut)


def test_a_cut_off_compressed_file_gives_a_sentence(tmp_path: Path) -> None:
    header = pydicom.dcmread(made(tmp_path / "w.dcm", np.eye(64, dtype=np.uint16)))
    header.compress(RLELossless)
    header.save_as(tmp_path / "r.dcm")
    raw = (tmp_path / "r.dcm").read_bytes()
    (tmp_path / "r.dcm").write_bytes(raw[:-200])
    with pytest.raises(ScanError, match=r"r\.dcm"):
        open_scan(tmp_path / "r.dcm")
