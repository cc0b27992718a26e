"""MRC files."""

import gzip
import time
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.volumes.mrc import read_volume, write_volume


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)


def test_reads_back_what_was_written(tmp_path, volume):
    write_volume(tmp_path / "a.mrc", volume, 3.54)
    found, pixel = read_volume(tmp_path / "a.mrc")
    np.testing.assert_array_equal(found, volume)
    assert pixel == 3.54


def test_written_file_is_valid_and_has_its_header_filled(tmp_path, volume, capsys):
    write_volume(tmp_path / "a.mrc", volume, 1.5)
    assert mrcfile.validate(tmp_path / "a.mrc"), capsys.readouterr()
    with mrcfile.open(tmp_path / "a.mrc") as stream:
        assert stream.is_volume()
        assert stream.voxel_size.tolist() == pytest.approx((1.5, 1.5, 1.5))
        assert stream.header.origin.tolist() == (0, 0, 0)


def test_equal_maps_give_equal_bytes(tmp_path, volume):
    write_volume(tmp_path / "a.mrc", volume, 1.5)
    time.sleep(1.1)  # mrcfile's own label has a resolution of one second
    write_volume(tmp_path / "b.mrc", volume, 1.5)
    assert (tmp_path / "a.mrc").read_bytes() == (tmp_path / "b.mrc").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc", "b.mrc"]


def test_failed_write_leaves_the_old_file(tmp_path, volume):
    write_volume(tmp_path / "a.mrc", volume, 1.5)
    before = (tmp_path / "a.mrc").read_bytes()
    with pytest.raises(ValueError, match="pixel size"):
        write_volume(tmp_path / "a.mrc", volume + 1, 0.0)
    assert (tmp_path / "a.mrc").read_bytes() == before


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 1, 2), (1, 3, 2), (2, 1, 3)])
def test_axis_order_of_the_file_does_not_matter(tmp_path, volume, order):
    """`order` is (MAPC, MAPR, MAPS): which of x, y, z = 1, 2, 3 runs fastest, next and slowest."""
    letters = "xyz"
    stored = np.einsum("zyx->" + "".join(letters[axis - 1] for axis in reversed(order)), volume)
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(np.ascontiguousarray(stored))
        stream.voxel_size = 2.0
        stream.header.mapc, stream.header.mapr, stream.header.maps = order
    found, _ = read_volume(tmp_path / "a.mrc")
    np.testing.assert_array_equal(found, volume)


def test_missing_voxel_size_must_be_given(tmp_path, volume):
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(volume)
    with pytest.raises(UserError, match=r"a\.mrc has no voxel size in its header; give its pixel size"):
        read_volume(tmp_path / "a.mrc")
    assert read_volume(tmp_path / "a.mrc", pixel_size_A=2.5)[1] == 2.5
    with pytest.raises(UserError, match="positive"):
        read_volume(tmp_path / "a.mrc", pixel_size_A=-1.0)


@pytest.mark.parametrize("shape", [(8, 8, 6), (7, 7, 7)])
def test_refuses_a_box_that_is_not_an_even_cube(tmp_path, shape):
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(np.zeros(shape, np.float32))
        stream.voxel_size = 1.0
    with pytest.raises(UserError, match=f"{shape[2]} x {shape[1]} x {shape[0]} voxels.*even side"):
        read_volume(tmp_path / "a.mrc")


def test_refuses_voxels_that_are_not_cubes(tmp_path, volume):
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(volume)
        stream.voxel_size = (1.0, 1.0, 1.1)
    with pytest.raises(UserError, match=r"1 x 1 x 1\.1"):
        read_volume(tmp_path / "a.mrc")


@pytest.mark.parametrize("keep", [0, 500, 1024, 1800, -1])
@pytest.mark.parametrize("zipped", [False, True])
def test_refuses_a_truncated_file(tmp_path, volume, keep, zipped):
    write_volume(tmp_path / "whole.mrc", volume, 1.5)
    data = (tmp_path / "whole.mrc").read_bytes()[:keep]
    (tmp_path / "cut.mrc").write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(UserError, match=r"cut\.mrc .*truncated"):
        read_volume(tmp_path / "cut.mrc")


def test_refuses_a_gzip_stream_that_breaks_off(tmp_path, volume):
    write_volume(tmp_path / "whole.mrc", volume, 1.5)
    (tmp_path / "cut.mrc.gz").write_bytes(gzip.compress((tmp_path / "whole.mrc").read_bytes())[:-100])
    with pytest.raises(UserError, match="truncated"):
        read_volume(tmp_path / "cut.mrc.gz")


@pytest.mark.parametrize("zipped", [False, True])
def test_huge_header_is_refused_before_memory_is_taken(tmp_path, volume, zipped):
    write_volume(tmp_path / "a.mrc", volume, 1.5)
    data = bytearray((tmp_path / "a.mrc").read_bytes())
    data[:12] = np.array([40000] * 3, "<i4").tobytes()  # 256 TB
    (tmp_path / "a.mrc").write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(UserError, match="announces 2560000"):
        read_volume(tmp_path / "a.mrc")


def test_refuses_what_is_no_map(tmp_path, volume):
    with pytest.raises(UserError, match=r"none\.mrc does not exist"):
        read_volume(tmp_path / "none.mrc")
    (tmp_path / "text.mrc").write_text("ATOM      1  N   ALA A   1 \n" * 100)
    with pytest.raises(UserError, match=r"text\.mrc"):
        read_volume(tmp_path / "text.mrc")
    with mrcfile.new(tmp_path / "fourier.mrc") as stream:
        stream.set_data(volume.astype(np.complex64))
    with pytest.raises(UserError, match="real space"):
        read_volume(tmp_path / "fourier.mrc")


@pytest.mark.parametrize(
    ("name", "box_px", "pixel_size_A"),
    [
        ("EMD-3197.map", 20, 11.4),
        ("betaGal_100_3.54A.mrc.gz", 100, 3.54),
        ("polnet_4cr2_5A.mrc.gz", 94, 5.0),
        ("maven_50S/vol_018.mrc.gz", 64, 6.55),
    ],
)
def test_reads_real_maps(mirror: Path, name, box_px, pixel_size_A):
    volume, pixel = read_volume(mirror / "maps" / name)
    assert volume.shape == (box_px,) * 3
    assert volume.dtype == np.float32
    assert pixel == pytest.approx(pixel_size_A, rel=1e-6)
    assert np.isfinite(volume).all()
    assert volume.std() > 0
