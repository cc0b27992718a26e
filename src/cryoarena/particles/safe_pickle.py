"""Read pickled arrays without running anything: the only pickles in use, those of other programs, hold little else."""

import io
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cryoarena.errors import UserError

_KINDS = "fiub"

Records = Mapping[tuple[str, str], Callable[..., Any]]


def read_array_pickle(path: Path) -> Any:
    """Read a pickle of numpy arrays of numbers, plain numbers and strings, nested in tuples and lists.

    Nothing of numpy runs on what the file says: array constructors are replaced by the recorders below, and
    arrays are built afterwards from bytes whose count agrees with the shape.

    Raises:
        UserError: when the file is missing, damaged or holds anything else.
    """
    return next(_pickles(path))


def read_array_pickles(path: Path) -> list[Any]:
    """Read all the pickles that a file holds one after another, as `read_array_pickle` does the first.

    Raises:
        UserError: when the file is missing, or one of them is damaged or holds anything else than arrays.
    """
    return list(_pickles(path))


def read_array_dict(path: Path) -> dict[str, Any]:
    """Read the pickle of a dict from names to what `read_array_pickle` reads.

    Raises:
        UserError: when the file is missing, damaged or holds anything else.
    """
    return dict(next(_pickles(path, _built_dict)))


def check_pickle(path: Path, also: Records | None = None) -> Any:
    """Look at a pickle that another program is going to open, without running anything.

    Args:
        path: of the file; as `pickle.load` does, only its first pickle is read.
        also: what stands for other names (module, name) than those of numpy; it must do no harm whatever it is given.

    Returns:
        What the pickle holds, with records in place of arrays.

    Raises:
        UserError: when the file is missing, damaged or asks for anything else, which the program would run.
    """
    return next(_pickles(path, lambda content: content, also))


def _pickles(path: Path, build: Callable[[Any], Any] | None = None, also: Records | None = None) -> Iterator[Any]:
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    stream = io.BytesIO(path.read_bytes())
    more = True
    while more:
        try:
            content = (build or _built)(_Unpickler(stream, also or {}).load())
        except UserError as error:
            raise UserError(f"{path} {error}") from None
        # A damaged or hostile pickle can make the unpickler raise almost anything.
        except Exception as error:
            raise UserError(f"{path} is not a whole pickle of plain arrays: {error}") from error
        yield content
        more = stream.tell() < len(stream.getbuffer())


class _Dtype:
    """Records numpy.dtype(code, …) and the byte order set on it."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(code) if isinstance(code, str) else np.dtype(object)
        if self.dtype.kind not in _KINDS:
            raise UserError(f"holds values of type {code!r}; only numbers are read")

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Records what numpy would make an array of."""

    def __init__(self, *_: Any) -> None:
        self.array = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran_order, data = state
        self.array = _array(data, dtype, shape, "F" if fortran_order else "C")


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    if not (isinstance(data, (bytes, bytearray)) and isinstance(dtype, _Dtype) and order in ("C", "F")):
        raise UserError("holds an array of something else than numbers")
    if math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise UserError(f"holds an array of shape {shape} but {len(data)} bytes for it")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order=order).copy()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _Array:
    recorded = _Array()
    recorded.array = _array(data, dtype, shape, order)
    return recorded


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (), "C")[()]


def _latin1(text: str, encoding: str) -> bytes:
    # How protocols 0 to 2 write bytes.
    if encoding != "latin1":
        raise UserError("is not a pickle of plain arrays")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    # How protocols 0 to 2 write empty bytes; it takes no arguments.
    return b""


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, also: Records) -> None:
        super().__init__(stream)
        self._also = also

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        family = module.replace("numpy._core", "numpy.core")
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): _Dtype,
            ("numpy", "ndarray"): _Array,
            ("numpy.core.multiarray", "_reconstruct"): _Array,
            ("numpy.core.multiarray", "scalar"): _scalar,
            ("numpy.core.numeric", "_frombuffer"): _frombuffer,
            ("_codecs", "encode"): _latin1,
            ("__builtin__", "bytes"): _no_bytes,
            **self._also,
        }
        if (family, name) not in known:
            raise UserError(f"asks for {module}.{name}; only plain arrays are read from a pickle")
        return known[family, name]


def _built(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, (tuple, list)):
        return type(value)(_built(item) for item in value)
    if isinstance(value, (str, int, float, np.number, np.bool_)):
        return value
    raise UserError(f"holds a {type(value).__name__}; only plain arrays are read from a pickle")


def _built_dict(value: Any) -> dict[str, Any]:
    if type(value) is not dict or not all(isinstance(name, str) for name in value):
        raise UserError(f"holds a {type(value).__name__}; a dict of names and arrays was expected")
    return {name: _built(item) for name, item in value.items()}
