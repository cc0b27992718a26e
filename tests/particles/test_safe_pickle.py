import contextlib
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cryoarena.errors import UserError
from cryoarena.particles.safe_pickle import read_array_dict, read_array_pickle, read_array_pickles


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def read(folder, content, protocol=4):
    path = folder / "a.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return read_array_pickle(path)


numbers = st.sampled_from(["<f4", ">f8", "<i8", "|u1", "|b1", "<i2"]).map(np.dtype)


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(numbers, arrays.array_shapes(min_dims=0, min_side=0, max_side=4)), st.integers(0, 5))
def test_arrays_come_back_as_pickle_reads_them(tmp_path_factory, array, protocol):
    found, text, number = read(tmp_path_factory.getbasetemp(), (array, ["a", 2.5], np.float32(3)), protocol)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    assert (text, number) == (["a", 2.5], 3)


def test_nothing_is_executed(tmp_path):
    victim = tmp_path / "victim"
    for attack in (
        Call(os.system, f"touch {victim}"),
        Call(eval, f"open({str(victim)!r}, 'w')"),
        (np.zeros(3), [Call(open, str(victim), "w")]),
        Call(np.save, str(victim), np.zeros(3)),
    ):
        with pytest.raises(UserError, match=r"asks for .*; only plain arrays are read"):
            read(tmp_path, attack)
    assert not victim.exists()


def hostile_array(shape, data, code="f8", byte_order="<"):
    """Return an object whose pickle asks numpy for an array of `shape` with `data`."""

    class Dtype:
        def __reduce__(self):
            return np.dtype, (code, False, True), (3, byte_order, None, None, None, -1, -1, 0)

    class Array:
        def __reduce__(self):
            reconstruct = np.zeros(1).__reduce__()[0]
            return reconstruct, (np.ndarray, (0,), b"b"), (1, shape, Dtype(), False, data)

    return Array()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (hostile_array((10**12,), b"12345678"), "holds an array of shape .* but 8 bytes for it"),
        (hostile_array((-1,), b"12345678"), "but 8 bytes for it"),
        (hostile_array((-1, -1), b"12345678"), "is not a whole pickle of plain arrays"),
        (hostile_array((1,), [1.0]), "holds an array of something else than numbers"),
        (hostile_array((1,), b"12345678", "O8", "|"), "holds values of type 'O8'"),
        (hostile_array((1,), b"12345678", "V8", "|"), "holds values of type 'V8'"),
        (np.array([{"a": 1}], object), "holds values of type 'O8'"),
        (np.zeros(2, [("a", "f4")]), "holds values of type"),
        ({1, 2}, "holds a set"),
        (None, "holds a NoneType"),
        (np.dtype("f4"), "holds a _Dtype"),
        (np.ndarray, "holds a type"),
        (pickle.dumps(np.zeros(100))[:-50], "is not a whole pickle"),
        (b"", "is not a whole pickle"),
        (b"junk", "is not a whole pickle"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


def test_a_list_that_holds_itself_is_refused(tmp_path):
    endless = []
    endless.append(endless)
    with pytest.raises(UserError, match="is not a whole pickle"):
        read(tmp_path, endless)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_pickle_is_read_or_refused(tmp_path_factory, data):
    whole = bytearray(pickle.dumps((np.eye(3)[None], np.zeros((1, 2))), 4))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    content = None
    with contextlib.suppress(UserError):
        content = read(tmp_path_factory.getbasetemp(), bytes(whole))
    # Whatever comes back is plain data, never an object of another kind.
    assert content is None or isinstance(content, (np.ndarray, np.generic, tuple, list, str, bytes, int, float))


def test_pickles_one_after_another(tmp_path):
    path = tmp_path / "z.pkl"
    means, variances = np.arange(6.0).reshape(3, 2), np.ones((3, 2), np.float32)
    path.write_bytes(pickle.dumps(means) + pickle.dumps(variances, 2))
    first, second = read_array_pickles(path)
    np.testing.assert_array_equal(first, means)
    np.testing.assert_array_equal(second, variances)
    np.testing.assert_array_equal(read_array_pickle(path), means)
    path.write_bytes(pickle.dumps(means) + pickle.dumps(Call(os.mkdir, str(tmp_path / "made"))))
    with pytest.raises(UserError, match="mkdir"):
        read_array_pickles(path)
    path.write_bytes(pickle.dumps(means) + pickle.dumps(variances)[:-20])
    with pytest.raises(UserError, match="not a whole pickle"):
        read_array_pickles(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="not a whole pickle"):
        read_array_pickles(path)
    assert not (tmp_path / "made").exists()


def test_a_dict_of_arrays(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"tau": np.arange(3.0), "names": ["a"]}))
    found = read_array_dict(path)
    np.testing.assert_array_equal(found.pop("tau"), [0, 1, 2])
    assert found == {"names": ["a"]}
    for content in ([1], {1: 2}, {"a": {"b": 1}}, {"a": Call(os.system, f"touch {tmp_path / 'victim'}")}):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(UserError, match=r"holds a (list|dict)|asks for"):
            read_array_dict(path)
    assert not (tmp_path / "victim").exists()
