"""EMD: Velox frames on the last axis, reciprocal pixels, Berkeley dims."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from napari_sesami.scan import ScanError, list_images, open_scan

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NC, RS = "format_fixtures/ncempy", "format_fixtures/rosettasciio"


def velox(path: Path, data: NDArray[Any], unit: str = "m", **scan: str) -> Path:
    """Write a Velox file with one image (y, x, frame)."""
    meta = {
        "BinaryResult": {
            "PixelSize": {"width": "1.1443e8", "height": "1.1443e8"}
            if unit == "1/m"
            else {"width": "2e-9", "height": "3e-9"},
            "PixelUnitX": unit,
            "PixelUnitY": unit,
            "Detector": "BM-Ceta",
        },
        "Scan": scan,
    }
    raw = json.dumps(meta).encode().ljust(2000, b"\0")
    with h5py.File(path, "w") as file:
        group = file.create_group("Data/Image/abc")
        group.create_dataset("Data", data=data, chunks=data.shape)
        text = np.frombuffer(raw, np.uint8)[:, np.newaxis]
        group["Metadata"] = np.repeat(text, data.shape[2], axis=1)
    return path


def test_a_camera_image_has_the_size_of_velox(shared_data: Path) -> None:
    scan = open_scan(shared_data / NC / "Camera Ceta Imaging Micro.emd")
    assert (scan.shape, scan.data.dtype.name) == ((512, 512), "int16")
    assert scan.pixel_size == pytest.approx((3.13884, 3.13884), rel=1e-5)
    assert scan.units == ("nm", "nm")


def test_pixels_are_not_transposed(shared_data: Path) -> None:
    file = shared_data / NC / "Camera Ceta Imaging Micro.emd"
    with h5py.File(file) as raw:
        stored = next(iter(raw["Data/Image"].values()))["Data"][:, :, 0]
    np.testing.assert_array_equal(open_scan(file).plane(0), stored)


def test_all_images_are_listed_as_velox_shows_them(shared_data: Path) -> None:
    file = shared_data / NC / "STEM HAADF-DF4-DF2-BF Diffraction Micro.emd"
    assert [i.name for i in list_images(file)] == ["HAADF", "DF4", "DF2", "BF"]
    for key in ("HAADF", "BF"):
        scan = open_scan(file, key)
        assert scan.pixel_size == pytest.approx((87.3708, 87.3708), rel=1e-5)
        assert scan.units == ("nm", "nm")


def test_frames_become_the_first_axis_with_their_time(shared_data: Path) -> None:
    scan = open_scan(shared_data / RS / "emd__fei_example_tem_stack.emd")
    assert scan.axes == ("t", "y", "x")
    assert scan.pixel_size == pytest.approx((0.8, 8.17288, 8.17288), rel=1e-5)
    assert scan.units == ("s", "pm", "pm")


def test_frames_are_read_alone_and_in_blocks_alike(tmp_path: Path) -> None:
    data = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)  # y, x, frame
    scan = open_scan(velox(tmp_path / "frames.emd", data, FrameTime="0.25"))
    assert scan.shape == (5, 3, 4)
    assert scan.pixel_size == (0.25, 3.0, 2.0)
    np.testing.assert_array_equal(scan.data.compute(), np.moveaxis(data, -1, 0))
    np.testing.assert_array_equal(scan.plane(4), data[..., 4])


def test_diffraction_pixels_are_reciprocal(tmp_path: Path) -> None:
    file = velox(tmp_path / "d.emd", np.ones((4, 4, 1), np.uint16), "1/m")
    scan = open_scan(file)
    assert scan.units == ("1/nm", "1/nm")
    assert scan.pixel_size == pytest.approx((0.11443, 0.11443))


def test_vector_images_show_their_modulus(shared_data: Path) -> None:
    scan = open_scan(shared_data / RS / "emd__fei_example_dpc_titles.emd", "DPC")
    assert scan.data.dtype == np.float32
    assert scan.plane(0)[0, 0] == pytest.approx(np.hypot(-32.846664, -214.79666))


def test_a_file_of_spectra_only_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "eds.emd"
    with h5py.File(file, "w") as raw:
        raw["Data/SpectrumStream/abc/Data"] = np.zeros(8)
    with pytest.raises(ScanError, match=r"eds\.emd .* without images; it holds Spectr"):
        open_scan(file)


def test_a_berkeley_image_without_units_has_no_size(shared_data: Path) -> None:
    scan = open_scan(shared_data / RS / "emd__example_image.emd")
    assert scan.pixel_size == (None, None)
    np.testing.assert_array_equal(scan.plane(0)[0], [0, 1, 2])


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("[n_m]", (0.5, "nm")), ("[u_m]", (0.5, "µm")), ("[n_m^-1]", (0.5, "1/nm"))],
)
def test_berkeley_units_with_underscores(
    tmp_path: Path, unit: str, expected: tuple[float, str]
) -> None:
    file = tmp_path / "b.emd"
    with h5py.File(file, "w") as raw:
        group = raw.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.arange(12, dtype=np.uint16).reshape(3, 4)
        for name, n in (("dim1", 3), ("dim2", 4)):
            group[name] = np.arange(n) * 0.5
            group[name].attrs["units"] = unit
    scan = open_scan(file)
    assert (scan.pixel_size[1], scan.units[1]) == expected


def test_uneven_dims_give_no_size(tmp_path: Path) -> None:
    file = tmp_path / "uneven.emd"
    with h5py.File(file, "w") as raw:
        group = raw.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.ones((3, 3), np.uint8)
        for name in ("dim1", "dim2"):
            group[name] = np.array([0.0, 1.0, 5.0])
            group[name].attrs["units"] = "nm"
    assert open_scan(file).pixel_size == (None, None)


@pytest.mark.parametrize("keep", [0, 64, 5000])
def test_cut_off_files_give_a_sentence(
    shared_data: Path, tmp_path: Path, keep: int
) -> None:
    whole = shared_data / RS / "emd__fei_example_tem_stack.emd"
    cut = tmp_path / "cut.emd"
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ScanError, match=r"cut\.emd"):
        open_scan(cut)


def test_py4dstem_counts_its_dims_from_zero(tmp_path: Path) -> None:
    file = tmp_path / "py4d.emd"
    with h5py.File(file, "w") as raw:
        group = raw.create_group("root/virtual")
        group.attrs["emd_group_type"] = "array"
        group["data"] = np.arange(12, dtype=np.float32).reshape(3, 4)
        for name, step in (("dim0", 2.0), ("dim1", 3.0)):
            group[name] = np.array([0.0, step])
            group[name].attrs["units"] = "nm"
    scan = open_scan(file)
    assert scan.pixel_size == (2.0, 3.0)
    assert scan.plane(0)[2, 3] == 11.0
