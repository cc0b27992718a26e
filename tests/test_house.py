"""Registries, files and the things every room relies on."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cryoarena.datasets.base import datasets
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, read_json, require_empty_output, write_json
from cryoarena.methods.base import methods
from cryoarena.metrics.base import metrics
from cryoarena.registry import Registry


@dataclass(frozen=True)
class Card:
    name: str


@dataclass(frozen=True)
class Entry:
    card: Card


def test_duplicate_names_raise_and_unknown_ones_suggest() -> None:
    registry: Registry[Entry] = Registry("thing", "cryoarena.metrics")
    registry.register(Entry(Card("first")))
    with pytest.raises(ValueError, match="two things are called 'first'"):
        registry.register(Entry(Card("first")))
    with pytest.raises(UserError, match="did you mean 'first'"):
        registry.get("frist")


@pytest.mark.parametrize("registry", [datasets, methods, metrics], ids=lambda registry: registry.kind)
def test_every_entry_lives_in_the_file_of_its_name(registry: Registry[Entry]) -> None:
    assert registry.all()
    for name, entry in registry.all().items():
        assert entry.card.name == name
        assert registry.get(name) is entry


def test_asking_for_one_method_imports_no_other() -> None:
    code = """
import sys
from cryoarena.methods.base import methods
assert methods.get("cryodrgn-ai").card.name == "cryodrgn-ai"
assert not any(name.endswith((".ppca", ".class3d", ".consensus")) for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_card_cites_its_source() -> None:
    for registry in (datasets, methods, metrics):
        for name, entry in registry.all().items():
            assert entry.card.citation, name
            assert entry.card.summary.endswith("."), name


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["file.json"]


def test_json_never_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_output_folders_are_replaced_only_when_allowed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    require_empty_output(tmp_path / "out", overwrite=False)
    (tmp_path / "out" / "file").touch()
    with pytest.raises(UserError, match="add --overwrite"):
        require_empty_output(tmp_path / "out", overwrite=False)
    require_empty_output(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out").exists()
