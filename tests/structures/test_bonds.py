import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cryoarena.structures.atoms import read_atoms
from cryoarena.structures.bonds import covalent_bonds
from cryoarena.structures.dihedral import find_atom


def _parts(atoms, bonds):
    graph = coo_array((np.ones(len(bonds)), bonds.T), shape=(len(atoms), len(atoms)))
    return connected_components(graph, directed=False)[1]


def _recorded(path, record, columns):
    """Read pairs of (chain, number, atom name) from SSBOND or LINK records."""
    pairs = []
    for line in path.read_text().splitlines():
        if line.startswith(record):
            pairs.append([(line[c], int(line[n]), line[a].strip() if a else "SG") for c, n, a in columns])
    return pairs


def test_recorded_disulfides_and_glycosidic_bonds_are_the_only_ones_between_chains_and_sugars(igg, igg_bonds, igg_file):
    ss = _recorded(igg_file, "SSBOND", [(15, slice(17, 21), None), (29, slice(31, 35), None)])
    link = _recorded(igg_file, "LINK", [(21, slice(22, 26), slice(12, 16)), (51, slice(52, 56), slice(42, 46))])
    assert (len(ss), len(link)) == (15, 16)
    recorded = {tuple(sorted(find_atom(igg, *atom) for atom in pair)) for pair in ss + link}
    found = {tuple(pair) for pair in igg_bonds.tolist()}
    assert recorded <= found
    between_chains = {(i, j) for i, j in found if igg.chain[i] != igg.chain[j]}
    assert between_chains == {pair for pair in recorded if igg.chain[pair[0]] != igg.chain[pair[1]]}
    sulfurs = {(i, j) for i, j in found if igg.atomic_number[i] == igg.atomic_number[j] == 16}
    assert len(sulfurs) == 15


def test_chain_H_is_continuous_where_its_numbering_jumps_and_chain_K_is_broken_where_residues_lack(igg):
    heavy = igg[igg.chain == "H"]
    assert len(set(_parts(heavy, covalent_bonds(heavy)))) == 1
    broken = igg[igg.chain == "K"]
    part = _parts(broken, covalent_bonds(broken))
    assert len(set(part)) == 3
    for before, after in ((127, 137), (235, 239)):
        ends = [find_atom(broken, "K", number, "CA") for number in (before, after)]
        assert part[ends[0]] != part[ends[1]]
    # … while a jump in the numbering alone breaks nothing.
    assert part[find_atom(broken, "K", 230, "C")] == part[find_atom(broken, "K", 232, "N")]


def test_bond_lengths_and_valences_are_those_of_chemistry(igg, igg_bonds):
    lengths = np.linalg.norm(np.diff(igg.position_A[igg_bonds], axis=1)[:, 0], axis=1)
    assert lengths.min() > 1.1
    assert lengths.max() < 2.1
    valence = np.bincount(igg_bonds.ravel(), minlength=len(igg))
    assert valence.min() >= 1
    assert valence[igg.atomic_number == 6].max() <= 4
    assert valence[igg.atomic_number == 8].max() <= 2


def test_pairs_are_unique_ordered_and_do_not_depend_on_the_order_of_atoms(mirror):
    atoms = read_atoms(mirror / "models" / "adk" / "4ake.cif.gz", ["A"])
    bonds = covalent_bonds(atoms)
    assert np.all(bonds[:, 0] < bonds[:, 1])
    assert len(np.unique(bonds, axis=0)) == len(bonds)
    order = np.random.default_rng(0).permutation(len(atoms))
    shuffled = np.sort(order[covalent_bonds(atoms[order])], axis=1)
    assert {tuple(pair) for pair in shuffled.tolist()} == {tuple(pair) for pair in bonds.tolist()}


def test_hydrogens_hold_one_bond_each_and_glycans_hang_on_asparagine(mirror):
    atoms = read_atoms(mirror / "models" / "igg" / "1igt.pdb.gz")
    bonds = covalent_bonds(atoms)
    valence = np.bincount(bonds.ravel(), minlength=len(atoms))
    unusual = np.flatnonzero((atoms.atomic_number == 1) & (valence != 1))
    # The entry has two hydrogens that sit inside a glycosidic bond.
    assert [(atoms.residue_name[i], atoms.residue_number[i], atoms.atom_name[i]) for i in unusual] == [
        ("NAG", 477, "H1")
    ] * 2
    found = {tuple(pair) for pair in bonds.tolist()}
    for chain in "BD":
        pair = sorted((find_atom(atoms, chain, 475, "C1"), find_atom(atoms, chain, 314, "ND2")))
        assert tuple(pair) in found


def test_atoms_on_top_of_each_other_are_not_bonded(make_atoms):
    assert len(covalent_bonds(make_atoms([[0, 0, 0], [0.1, 0, 0], [9, 0, 0]]))) == 0
