"""Files of torch.save that hold tensors are read; what would run something is not."""

import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoarena.errors import UserError
from cryoarena.methods.external.safe_torch import read_torch


class Evil:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.victim}",)


def test_tensors_and_arrays_come_back(tmp_path: Path) -> None:
    path = tmp_path / "z.pkl"
    content = {"mu": torch.arange(6.0).reshape(3, 2), "nn": [np.array([1, 2]), np.array([], np.int64)], "epoch": 3}
    torch.save(content, path)
    found = read_torch(path)
    assert torch.equal(found["mu"], content["mu"])
    np.testing.assert_array_equal(found["nn"][0], [1, 2])
    assert found["epoch"] == 3
    content = {"norm": [np.float64(0.5), np.float32(2)], "began": datetime(2026, 1, 2)}
    torch.save(content, path)
    assert read_torch(path) == content


def test_nothing_is_run(tmp_path: Path) -> None:
    path, victim = tmp_path / "z.pkl", tmp_path / "victim"
    for content in (Evil(victim), {"mu": [Evil(victim)]}, {"model": torch.nn.Linear(2, 2)}, np.array([Evil(victim)])):
        torch.save(content, path)
        with pytest.raises(
            UserError, match=r"holds something else than tensors, which is not read(; it asks for [\w.]+)?$"
        ):
            read_torch(path)
    assert not victim.exists()


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "z.pkl"
    with pytest.raises(UserError, match="does not exist"):
        read_torch(path)
    torch.save({"mu": torch.zeros(100)}, path)
    for damaged in (b"", b"hello", path.read_bytes()[:300]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"z\.pkl"):
            read_torch(path)
