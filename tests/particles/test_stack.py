import contextlib
import resource

import mrcfile
import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.files import sha256_of
from cryoarena.particles.stack import StackWriter, open_stack


def images_of(n, box_px=6, seed=0, offset=0.0):
    return (np.random.default_rng(seed).normal(size=(n, box_px, box_px)) + offset).astype(np.float32)


def write(path, images, *sizes):
    with StackWriter(path, len(images), images.shape[1], 1.5) as stack:
        for part in np.split(images, np.cumsum(sizes)):
            stack.append(part)


def test_outside_reader_finds_a_valid_stack_with_true_statistics(tmp_path):
    images = images_of(9, offset=1e3)
    write(tmp_path / "a.mrcs", images, 4, 4)
    assert mrcfile.validate(tmp_path / "a.mrcs")
    with mrcfile.open(tmp_path / "a.mrcs") as stack:
        np.testing.assert_array_equal(stack.data, images)
        assert stack.is_image_stack()
        assert tuple(stack.voxel_size.item()) == (1.5, 1.5, 1.5)
        header = stack.header
        assert (header.mx, header.my, header.mz, header.ispg) == (6, 6, 1, 0)
        assert header.dmin == images.min()
        assert header.dmax == images.max()
        assert header.dmean == pytest.approx(images.mean(dtype=np.float64), rel=1e-7)
        # The mean is a thousand times the spread: a sum of squares in one pass would lose it.
        assert header.rms == pytest.approx(images.std(dtype=np.float64), rel=1e-6)


def test_equal_images_give_equal_bytes_however_they_come(tmp_path):
    images = images_of(10)
    write(tmp_path / "one.mrcs", images)
    write(tmp_path / "many.mrcs", images, 1, 3, 2, 1)
    assert sha256_of(tmp_path / "one.mrcs") == sha256_of(tmp_path / "many.mrcs")
    assert b"CryoArena" in (tmp_path / "one.mrcs").read_bytes()[224:304]


def test_reader_returns_what_was_written(tmp_path):
    images = images_of(5)
    write(tmp_path / "a.mrcs", images)
    np.testing.assert_array_equal(open_stack(tmp_path / "a.mrcs", 6), images)


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        (lambda stack: stack.append(images_of(2)), "was promised 3 images but got 2"),
        (lambda stack: stack.append(images_of(4)), "takes 3 images, not 4"),
        (lambda stack: stack.append(images_of(3, box_px=8)), "takes images of shape"),
        (lambda stack: stack.append(np.full((1, 6, 6), np.nan, np.float32)), "image 1 .* not a finite number"),
        (lambda stack: (stack.append(images_of(3)), 1 / 0), "division"),
    ],
)
def test_nothing_is_left_after_an_error(tmp_path, failing, message):
    with pytest.raises((ValueError, ZeroDivisionError), match=message), StackWriter(tmp_path / "a.mrcs", 3, 6, 1) as s:
        failing(s)
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("box_px", [6, 128])
def test_no_room_is_one_sentence_and_leaves_nothing(tmp_path, box_px):
    # The small images stay in the buffer until the file is closed, the large ones go out at once.
    with largest_file(4096), pytest.raises(UserError, match=r"cannot write .*a\.mrcs: File too large"):
        write(tmp_path / "a.mrcs", images_of(30, box_px))
    assert list(tmp_path.iterdir()) == []


def test_old_file_stays_when_the_new_one_fails(tmp_path):
    write(tmp_path / "a.mrcs", images_of(2))
    before = (tmp_path / "a.mrcs").read_bytes()
    with pytest.raises(ValueError, match="promised"), StackWriter(tmp_path / "a.mrcs", 3, 6, 1.0):
        pass
    assert (tmp_path / "a.mrcs").read_bytes() == before


def test_damaged_stacks_are_refused(tmp_path):
    path = tmp_path / "a.mrcs"
    with pytest.raises(UserError, match="does not exist"):
        open_stack(path)
    write(path, images_of(5))
    whole = path.read_bytes()
    with pytest.raises(UserError, match="6 x 6 px but 8 x 8 px are expected"):
        open_stack(path, 8)
    path.write_bytes(whole[:-10])
    with pytest.raises(UserError, match=r"truncated: its header announces 5 images .*\(1744 bytes\).* 1734 bytes"):
        open_stack(path)
    path.write_bytes(whole[:500])
    with pytest.raises(UserError, match="not an MRC stack, or is truncated"):
        open_stack(path)
    path.write_bytes(np.array([6, 6, -5, 2], "<i4").tobytes() + whole[16:])
    with pytest.raises(UserError, match="holds no real images"):
        open_stack(path)


def test_real_stacks_open(mirror):
    # relion31.mrcs has neither a map id nor a machine stamp.
    assert open_stack(mirror / "particles/relion31_5/relion31.mrcs").shape == (5, 256, 256)
    images = open_stack(mirror / "particles/empiar10076_7/empiar_10076_7.mrc")
    assert images.shape == (7, 320, 320)
    assert images.mean() == pytest.approx(-0.0034343705, rel=1e-3)
