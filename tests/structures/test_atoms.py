import gzip

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.structures.atoms import centred, read_atoms, select_chains

_LINE = "ATOM  {serial:5d}  CA {altloc}{name} A{number:4d}    {x:8.3f}   2.000   3.000{occ:6.2f}{b:6.2f}           C"


def _pdb(*rows: dict) -> str:
    default = {"altloc": " ", "name": "GLY", "number": 1, "x": 1.0, "occ": 1.0, "b": 20.0}
    lines = [_LINE.format(**(default | {"serial": i + 1} | row)) for i, row in enumerate(rows)]
    return "\n".join([*lines, "END", ""])


def test_the_real_antibody_is_read_whole_with_its_glycans(igg_file):
    atoms = read_atoms(igg_file)
    lines = [line for line in igg_file.read_text().splitlines() if line.startswith(("ATOM  ", "HETATM"))]
    lines = [line for line in lines if line[17:20] != "HOH"]
    assert len(atoms) == len(lines) == 10_576
    assert atoms.position_A.dtype == np.float64
    for column, read in ((slice(30, 38), 0), (slice(38, 46), 1), (slice(46, 54), 2)):
        np.testing.assert_allclose(atoms.position_A[:, read], [float(line[column]) for line in lines], atol=1e-9)
    np.testing.assert_allclose(atoms.b_factor_A2, [float(line[60:66]) for line in lines], atol=1e-4)
    assert list(atoms.chain) == [line[21] for line in lines]
    assert list(atoms.residue_number) == [int(line[22:26]) for line in lines]
    assert list(atoms.insertion_code) == [line[26].strip() for line in lines]
    assert list(atoms.atom_name) == [line[12:16].strip() for line in lines]
    assert set(atoms.residue_name[atoms.chain == "A"]) == {"NAG", "BMA", "MAN", "GAL"}


def test_gzipped_pdb_and_gzipped_mmcif_are_read(mirror):
    igt = read_atoms(mirror / "models" / "igg" / "1igt.pdb.gz")
    assert sorted(set(igt.chain)) == ["A", "B", "C", "D"]
    kinase = read_atoms(mirror / "models" / "adk" / "4ake.cif.gz")
    assert sorted(set(kinase.chain)) == ["A", "B"]
    assert "HOH" not in kinase.residue_name
    # Adenylate kinase of E. coli has 214 residues, each with one CA.
    assert np.count_nonzero((kinase.chain == "A") & (kinase.atom_name == "CA")) == 214


def test_chains_are_selected_and_a_missing_one_is_named(igg, igg_file):
    fab = select_chains(igg, ["H", "L"])
    assert set(fab.chain) == {"H", "L"}
    assert len(fab) == np.count_nonzero((igg.chain == "H") | (igg.chain == "L"))
    assert len(read_atoms(igg_file, ["L"])) == 1668
    with pytest.raises(UserError, match=r"1hzh.pdb has no chain Q; it has A, B, H, K, L, M$"):
        read_atoms(igg_file, ["H", "Q"])


def test_centre_is_weighted_by_atomic_number(make_atoms):
    atoms = centred(make_atoms([[0.0, 0, 0], [4.0, 0, 0]], atomic_number=[6, 2]))
    np.testing.assert_allclose(atoms.position_A, [[-1, 0, 0], [3, 0, 0]])


def test_of_alternative_conformations_the_fullest_is_kept_whole(tmp_path):
    path = tmp_path / "alternatives.pdb"
    path.write_text(
        _pdb(
            {"altloc": "A", "x": 1.0, "occ": 0.4},
            {"altloc": "B", "x": 2.0, "occ": 0.6},
            {"number": 2, "altloc": "A", "x": 3.0, "occ": 0.5},
            {"number": 2, "altloc": "B", "x": 4.0, "occ": 0.5},
            {"number": 3, "altloc": "A", "x": 5.0, "occ": 0.3, "name": "SER"},
            {"number": 3, "altloc": "B", "x": 6.0, "occ": 0.7, "name": "THR"},
        )
    )
    atoms = read_atoms(path)
    np.testing.assert_allclose(atoms.position_A[:, 0], [2.0, 3.0, 6.0])
    assert list(atoms.residue_name) == ["GLY", "GLY", "THR"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.pdb", None, "missing.pdb does not exist"),
        ("empty.pdb", b"", "empty.pdb is empty"),
        ("prose.pdb", b"hello\nthere\n", "prose.pdb holds no atoms"),
        ("no_atoms.cif", b"data_x\n_a.b 1\n", "no_atoms.cif holds no atoms"),
        ("half.cif", b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1\n", "half.cif cannot be read as a PDB"),
        ("water.pdb", _pdb({"name": "HOH"}).encode(), "water.pdb holds no atoms"),
        ("cut.pdb.gz", gzip.compress(_pdb(*[{}] * 500).encode())[:-40], "cut.pdb.gz cannot be read"),
    ],
)
def test_bad_files_give_one_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence) as raised:
        read_atoms(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_an_atom_without_element_is_refused(tmp_path):
    path = tmp_path / "dummy.pdb"
    path.write_text(_pdb({}).replace("           C", "           X"))
    with pytest.raises(UserError, match="atom CA of residue A 1 has no element"):
        read_atoms(path)


def test_positions_of_another_shape_are_refused(igg):
    with pytest.raises(ValueError, match="10576 atoms"):
        igg.with_positions(np.zeros((3, 3)))
