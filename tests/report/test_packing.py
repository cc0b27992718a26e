import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from report_bench import unpack

from cryoarena.report.colours import cyclic_map, label_map
from cryoarena.report.packing import finite_list, grey, pack, png, script_json


def test_packed_bytes_are_little_endian() -> None:
    values = np.array([1, -2, 300], ">i2")
    np.testing.assert_array_equal(unpack(pack(values), "<i2"), values)


def test_png_is_read_back_by_another_program() -> None:
    image = np.random.default_rng(0).integers(0, 256, (13, 7), np.uint8)
    data = base64.b64decode(png(image).split(",")[1])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)


def test_grey_of_a_constant_or_broken_image_is_an_image() -> None:
    assert (grey(np.ones((2, 2)), 1, 1) == 128).all()
    assert grey(np.array([[np.nan, 2.0]]), 0, 1).tolist() == [[0, 255]]


def test_json_cannot_close_its_script_element() -> None:
    data = {"name": "</script><!-- \u2028"}
    text = str(script_json(data))
    assert "<" not in text
    assert json.loads(text) == data


def test_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        script_json([float("nan")])
    assert finite_list([1.0, None, np.inf]) == [1.0, None, None]


def test_cyclic_colours_have_no_seam() -> None:
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in cyclic_map()])
    steps = np.abs(np.diff(np.vstack([rgb, rgb[:1]]), axis=0)).max(axis=1)
    assert steps[-1] <= steps.max()
    assert steps.max() <= 12


def test_neighbouring_labels_can_be_told_apart() -> None:
    colours = label_map()
    assert len(colours) == 256
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours[:32]])
    for step in (1, 2, 3):
        assert np.linalg.norm(rgb[step:] - rgb[:-step], axis=1).min() > 45
