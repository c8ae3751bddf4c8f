"""HDF5 and NeXus: axes where the file names them, unknown sizes where it does not."""

from __future__ import annotations

import dask.array as da
import h5py
import numpy as np
import pytest

from napari_sesami.scan import ScanError, list_images, open_scan


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9999, (6, 40, 50), dtype=np.uint16)


def nexus(path, volume, units=("nm", "nm", "nm"), steps=(10.0, 2.0, 3.0)):
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs["default"] = "scan"
        group = entry.create_group("scan")
        group.attrs.update(NX_class="NXdata", signal="counts", axes=["z", "y", "x"])
        group["counts"] = volume
        for name, unit, step, n in zip("zyx", units, steps, volume.shape, strict=True):
            group[name] = 5 + step * np.arange(n)
            if unit:
                group[name].attrs["units"] = unit
        other = entry.create_group("another")
        other.attrs.update(NX_class="NXdata", signal="flat")
        other["flat"] = volume[0]
    return path


def test_nexus_axes_give_size_unit_and_origin(tmp_path, volume):
    scan = open_scan(nexus(tmp_path / "a.nxs", volume, units=("um", "nm", "pm")))
    assert scan.image_key == "/entry/scan/counts"
    assert scan.pixel_size == pytest.approx((10, 2, 3))
    assert scan.units == ("µm", "nm", "pm")
    assert scan.origin == (5, 5, 5)
    assert isinstance(scan.data, da.Array)
    np.testing.assert_array_equal(scan.plane(4), volume[4])
    assert len(scan.metadata["images"]) == 2


def test_nexus_axes_without_unit_or_with_uneven_steps_are_unknown(tmp_path, volume):
    path = nexus(tmp_path / "a.nxs", volume, units=(None, "nm", "nm"))
    with h5py.File(path, "r+") as file:
        file["entry/scan/y"][3] = 99
    scan = open_scan(path)
    assert scan.pixel_size == (None, None, 3.0)
    assert any("no even steps" in n for n in scan.metadata["notes"])


def test_nexus_axes_that_run_backwards_have_a_positive_size(tmp_path, volume):
    scan = open_scan(nexus(tmp_path / "a.nxs", volume, steps=(1.0, -2.0, 3.0)))
    assert scan.pixel_size == pytest.approx((1, 2, 3))


def test_nexus_time_is_no_length(tmp_path, volume):
    scan = open_scan(nexus(tmp_path / "a.nxs", volume, units=("s", "1/nm", "1/nm")))
    assert scan.units == ("s", "1/nm", "1/nm")


@pytest.mark.parametrize("chunks", [None, (1, 20, 25), (6, 8, 8)])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_plain_hdf5_lists_its_datasets_and_knows_no_size(
    tmp_path, volume, chunks, compression
):
    if compression and not chunks:
        chunks = True
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["small"] = volume[0]
        file.create_dataset(
            "deep/v", data=volume, chunks=chunks, compression=compression
        )
        file["line"] = np.arange(7)
        file["text"] = "hello"
    infos = list_images(tmp_path / "a.h5")
    assert [i.key for i in infos] == ["/deep/v", "/small"]
    scan = open_scan(tmp_path / "a.h5")
    assert scan.pixel_size == (None, None, None)
    np.testing.assert_array_equal(np.asarray(scan.data), volume)
    assert open_scan(tmp_path / "a.h5", "/small").shape == (40, 50)


def test_fiji_writes_the_voxel_in_micrometres(tmp_path, volume):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = volume
        file["v"].attrs["element_size_um"] = [0.5, 0.1, 0.2]
    scan = open_scan(tmp_path / "a.h5")
    assert scan.pixel_size == (0.5, 0.1, 0.2)
    assert scan.units == ("µm", "µm", "µm")


def test_hdf5_without_an_image_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["line"] = np.arange(7)
    with pytest.raises(ScanError, match="holds no image"):
        open_scan(tmp_path / "a.h5")


def test_a_dangling_link_does_not_matter(tmp_path, volume):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = volume
        file["soft"] = h5py.SoftLink("/nowhere")
        file["external"] = h5py.ExternalLink("nofile.h5", "/x")
    assert open_scan(tmp_path / "a.h5").shape == volume.shape


def test_a_real_nexus_file(shared_data):
    path = shared_data / "format_fixtures/rosettasciio/nexus__nexus_dls_example.nxs"
    scan = open_scan(path)
    assert scan.shape == (10, 10, 15)
    assert set(scan.pixel_size) == {None}
    assert scan.image_key == scan.metadata["images"][0].key
