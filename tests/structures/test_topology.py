"""Atoms and selections of simulations."""

import importlib
from pathlib import Path

import gemmi
import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.structures.atoms import read_atoms
from cryoarena.structures.topology import read_topology, topology_of


def test_elements_are_found_where_a_psf_has_none(mirror: Path) -> None:
    topology = read_topology(mirror / "md" / "adk_dims001" / "top.psf")
    # The masses, which this file happens to have, are an independent witness.
    weight = np.array([gemmi.Element(int(number)).weight for number in topology.atomic_number()])
    np.testing.assert_allclose(weight, topology.universe.atoms.masses, atol=0.01)


def test_a_model_is_selected_from_as_its_file_is(mirror: Path) -> None:
    path = mirror / "models" / "igg" / "1hzh.pdb"
    atoms = read_atoms(path)
    topology = topology_of(atoms, str(path))
    picked = topology.select("protein and chainID H and resid 230 232 and name CA")
    assert atoms.residue_number[picked].tolist() == [230, 232]
    assert set(atoms.chain[picked]) == {"H"}
    np.testing.assert_array_equal(topology.atomic_number(), atoms.atomic_number)
    glycans = topology.select("not protein")
    assert set(atoms.residue_name[glycans]) <= {"NAG", "MAN", "GAL", "FUC", "BMA", "FUL"}


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [("name XX", "picks no atom"), ("nonsense and (", "selects nothing"), ("mass >", "selects nothing")],
)
def test_empty_selections_are_refused(mirror: Path, selection: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_topology(mirror / "md" / "adk_dims001" / "top.psf").select(selection)


def test_no_topology_is_refused(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"path.dcd does not name its atoms"):
        read_topology(mirror / "md" / "adk_dims001" / "path.dcd")
    (tmp_path / "text.psf").write_text("not a topology")
    with pytest.raises(UserError, match=r"text.psf cannot be read as a topology"):
        read_topology(tmp_path / "text.psf")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(UserError, match=r"pip install cryoarena\[md\]"):
        read_topology(Path("any.psf"))
