"""Models that the user gives."""

from pathlib import Path

import pytest

from cryoarena.datasets.base import datasets
from cryoarena.datasets.model_list import read_models
from cryoarena.datasets.sources import Given, locate_all
from cryoarena.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.pdb", "a.cif.gz", "notes.txt"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_its_models_in_order(folder: Path) -> None:
    assert read_models(folder) == ((folder / "a.cif.gz", folder / "b.pdb"), ())


def test_a_list_gives_models_and_counts(folder: Path) -> None:
    listed = folder / "list"
    listed.write_text("# the states\nb.pdb 30\n\na.cif.gz 10\n")
    assert read_models(listed) == ((folder / "b.pdb", folder / "a.cif.gz"), (30, 10))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("b.pdb\nc.pdb\n", "line 2: .*c.pdb does not exist"),
        ("b.pdb 0\n", "line 1: '0' is no number of particles"),
        ("b.pdb 3\na.cif.gz\n", "1 of 2 models have a number of particles"),
        ("\n", "names no model"),
    ],
)
def test_a_wrong_list_is_refused(folder: Path, text: str, sentence: str) -> None:
    (folder / "list").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_models(folder / "list")


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no PDB or mmCIF file"):
        read_models(tmp_path)


def test_a_recipe_takes_only_what_it_can_use(folder: Path) -> None:
    with pytest.raises(UserError, match="igg-pseudo takes no --models"):
        locate_all(datasets.get("igg-pseudo"), given=Given(models=folder))
    with pytest.raises(UserError, match=r"--structure .*none.pdb does not exist"):
        locate_all(datasets.get("igg-1d"), given=Given(structure=folder / "none.pdb"))
