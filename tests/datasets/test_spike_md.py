"""Spike-MD: the made motion on the real spike, and a real trajectory."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.base import Ensemble, Sources, datasets
from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.simulation import SimulationOptions
from cryoarena.datasets.sources import Given, locate_all
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.structures.atoms import Atoms, amino_acids, read_atoms

# Domains of adenylate kinase whose centres make the angles of Beckstein et al. 2009, doi:10.1016/j.jmb.2009.09.009
PART = "(backbone or name CB) and resid"
NMP = f"angle: {PART} 115-125 | {PART} 90-100 | {PART} 35-55"
LID = f"angle: {PART} 179-185 | {PART} 115-125 | {PART} 125-153"


def build(sources: Sources, options: SimulationOptions | None = None, conformations: int = 200) -> Ensemble:
    dataset = datasets.get("spike-md")
    settings = resolve_settings(dataset, "small", conformations=conformations)
    return dataset.build(settings, sources, options or SimulationOptions())


@pytest.fixture
def adk(mirror: Path) -> Sources:
    folder = mirror / "md" / "adk_dims001"
    return Sources(topology=folder / "top.psf", trajectory=folder / "path.dcd")


@pytest.fixture(scope="module")
def made(mirror: Path) -> Ensemble:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "CRYOARENA_MIRROR", str(mirror))
        return build(locate_all(datasets.get("spike-md"), "small"))


@pytest.fixture(scope="module")
def spike(mirror: Path) -> Atoms:
    return amino_acids(read_atoms(mirror / "models" / "spike" / "6vxx.pdb.gz"))


def test_only_one_domain_opens_and_no_link_tears(made: Ensemble, spike: Atoms) -> None:
    opening = made.cvs["opening"]
    assert np.all(np.diff(opening) > 0)
    first, last = (made.specimen.position_A(number) for number in (0, len(opening) - 1))
    moved_A = np.linalg.norm(last - first, axis=1)
    in_rbd = (spike.chain == "A") & (spike.residue_number >= 336) & (spike.residue_number <= 525)
    linker = (spike.chain == "A") & ~in_rbd & (spike.residue_number >= 327) & (spike.residue_number <= 528)
    assert moved_A[in_rbd].mean() > 15
    assert moved_A[~in_rbd & ~linker].max() == 0
    # Bonds between residues of chain A stay short where the linkers hand the motion on.
    for number in (0, 100, 199):
        position_A = made.specimen.position_A(number)
        for residue in [*range(326, 337), *range(524, 530)]:
            end, start = (
                np.flatnonzero((spike.chain == "A") & (spike.residue_number == key) & (spike.atom_name == name))
                for key, name in ((residue, "C"), (residue + 1, "N"))
            )
            assert np.linalg.norm(position_A[end[0]] - position_A[start[0]]) < 5.0


def test_the_whole_opening_ends_where_the_domain_is_in_the_open_model(made: Ensemble, mirror: Path) -> None:
    open_ = amino_acids(read_atoms(mirror / "models" / "spike" / "swissmodel_6acg_6vsb_rbdup_ace2.pdb.gz"))
    closed = amino_acids(read_atoms(mirror / "models" / "spike" / "6vxx.pdb.gz"))
    number = len(made.population) - 1
    assert made.cvs["opening"][number] > 55

    def alpha(atoms: Atoms, chain: str, first: int, last: int) -> dict[tuple[str, int], int]:
        in_range = (atoms.residue_number >= first) & (atoms.residue_number <= last)
        index = np.flatnonzero((atoms.atom_name == "CA") & np.isin(atoms.chain, list(chain)) & in_range)
        return {(str(atoms.chain[i]), int(atoms.residue_number[i])): int(i) for i in index}

    def distances_A(position_A: np.ndarray) -> float:
        """Return the distance of the centres of the RBD and of S2, which needs no superposition."""
        pairs = [(alpha(closed, *key), alpha(open_, *key)) for key in (("A", 336, 525), ("ABC", 701, 1147))]
        centres = [
            (
                position_A[[here[key] for key in here if key in there]].mean(axis=0),
                open_.position_A[[there[key] for key in here if key in there]].mean(axis=0),
            )
            for here, there in pairs
        ]
        ours, theirs = (np.linalg.norm(centres[0][side] - centres[1][side]) for side in (0, 1))
        return float(ours - theirs)

    assert abs(distances_A(made.specimen.position_A(number))) < 1.5
    assert abs(distances_A(made.specimen.position_A(0))) > 4


def test_draws_follow_the_stated_surface(made: Ensemble) -> None:
    assert made.energy is not None
    names, probability = made.energy.cv_names, made.energy.probability()
    assert names == ("opening", "twist")
    for axis, name in enumerate(names):
        mean = (probability.sum(axis=1 - axis) * made.energy.axes[axis]).sum()
        values = made.cvs[name]
        assert values.mean() == pytest.approx(mean, abs=4 * values.std() / np.sqrt(len(values)))
    # The wells are 2 kT deep (the slope lifts the barrier by 0.2 kT over the closed well).
    along = -np.log(probability.sum(axis=1))
    half = len(along) // 2
    assert along[half] - along[:half].min() == pytest.approx(2.2, abs=0.1)


def test_rigid_bodies_carry_every_atom(made: Ensemble) -> None:
    assert made.rigid_bodies is not None
    motion, body = made.rigid_bodies.motion, made.rigid_bodies.body
    first, other = made.specimen.position_A(0), made.specimen.position_A(150)
    expected = np.einsum("nij,nj->ni", motion.rotation[150, body], first) + motion.translation_A[150, body]
    np.testing.assert_allclose(other, expected, atol=1e-3)


def test_truth_maps_are_where_the_atoms_are(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYOARENA_MIRROR", str(mirror))
    dataset = datasets.get("spike-md")
    settings = resolve_settings(dataset, "small", images=10, box_px=64, conformations=4)
    sources = locate_all(dataset, "small")
    make_dataset(dataset, settings, sources, tmp_path / "d")
    truth = open_truth(tmp_path / "d")
    specimen = dataset.build(settings, sources, SimulationOptions()).specimen
    assert truth.energy is not None
    for number in truth.mapped:
        volume = truth.volume(int(number))
        x, y, z = np.round(specimen.position_A(int(number)) / truth.pixel_size_A).astype(int).T + 32
        assert volume[z, y, x].mean() > 20 * np.abs(volume).mean()
    assert any("stand-ins" in note for note in truth.info["notes"])


def test_the_domains_of_adenylate_kinase_open_as_published(adk: Sources) -> None:
    ensemble = build(adk, SimulationOptions(cv1=NMP, cv2=LID))
    assert len(ensemble.specimen) == 102
    # Crystal structures: closed (1AKE) 44° and 106°, open (4AKE) 73° and 147°.
    assert ensemble.cvs["cv1"][[0, -1]] == pytest.approx([44, 72], abs=1.5)
    assert ensemble.cvs["cv2"][[0, -1]] == pytest.approx([106, 146], abs=1.5)
    assert ensemble.variables is not None
    assert [(cv.unit, cv.period) for cv in ensemble.variables] == [("deg", None), ("deg", None)]
    np.testing.assert_allclose(ensemble.population, 1 / 102)
    # 1656 heavy atoms, every frame on the first.
    first, last = (ensemble.specimen.position_A(number).astype(np.float64) for number in (0, 101))
    assert first.shape == (1656, 3)
    rmsd_A = np.sqrt(((first - last) ** 2).sum(axis=1).mean())
    assert rmsd_A == pytest.approx(build(adk).cvs["cv1"][101], abs=0.3)
    assert ensemble.specimen.reach_A() >= np.linalg.norm(last, axis=1).max() - 1e-3


def test_frames_follow_a_free_energy(adk: Sources, tmp_path: Path) -> None:
    axis = np.array([100.0, 120.0, 140.0])
    EnergySurface(("cv2",), (axis,), np.array([0.0, np.inf, np.log(3)])).save(tmp_path / "energy.npz")
    ensemble = build(adk, SimulationOptions(cv2=LID, energy=tmp_path / "energy.npz"))
    lid = ensemble.cvs["cv2"]
    assert not ((lid > 110) & (lid < 130)).any()
    assert ensemble.population[lid < 110].sum() == pytest.approx(0.75)
    # A cell that holds one frame only.
    EnergySurface(("cv2",), (np.array([106.498, 107.0]),), np.array([0.0, np.inf])).save(tmp_path / "energy.npz")
    with pytest.raises(UserError, match="only one frame is left"):
        build(adk, SimulationOptions(cv2=LID, energy=tmp_path / "energy.npz", superpose="none"), conformations=1)


def test_models_are_frames_too(mirror: Path, tmp_path: Path) -> None:
    listed = tmp_path / "models.txt"
    folder = mirror / "models" / "adk"
    listed.write_text(f"{folder / 'adk1AKE.pdb'} 30\n{folder / 'adk4AKE.pdb'} 10\n")
    sources = locate_all(datasets.get("spike-md"), "paper", Given(models=listed))
    ensemble = build(sources, SimulationOptions(cv1=LID))
    assert ensemble.cvs["cv1"] == pytest.approx([106.1, 146.5], abs=0.1)
    np.testing.assert_allclose(ensemble.population, [0.75, 0.25])


def test_a_trajectory_gives_a_dataset_whatever_the_number_of_processes(adk: Sources, tmp_path: Path) -> None:
    dataset = datasets.get("spike-md")
    np.save(tmp_path / "cv.npy", np.linspace(0, 1, 102))
    settings = resolve_settings(dataset, "small", images=1100, box_px=16, conformations=20)
    settings = replace(settings, source_box_px=64, max_shift_px=2.0)
    given = {"cv_table": str(tmp_path / "cv.npy"), "superpose": "name CA"}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        make_dataset(dataset, settings, adk, out, processes=processes, given_options=given)
    info = [read_json(tmp_path / name / "dataset.json") for name in "12"]
    assert info[0] == info[1]
    assert info[0]["cvs"] == [{"name": "cv1", "unit": "", "period": None, "description": "from cv.npy"}]
    assert info[0]["recipe"]["options"]["cv_table"]["file"] == "cv.npy"
    assert set(info[0]["recipe"]["sources"]) == {"topology", "trajectory"}
    truth = open_truth(tmp_path / "1")
    assert len(truth.population) == 20
    # The same name and another content is another dataset.
    np.save(tmp_path / "cv.npy", np.linspace(0, 2, 102))
    make_dataset(dataset, settings, adk, tmp_path / "3", given_options=given)
    assert read_json(tmp_path / "3" / "dataset.json")["id"] != info[0]["id"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (SimulationOptions(selection="resname XYZ"), "'resname XYZ' picks no atom"),
        (SimulationOptions(selection="name HA"), "only hydrogens"),
        (SimulationOptions(superpose="resid 1 and name CA"), "picks 1 of the shown atoms"),
        (SimulationOptions(cv1="angle: all"), "is no collective variable"),
        (SimulationOptions(cv1="rmsd: resid 9999"), "picks no atom"),
    ],
)
def test_wrong_options_are_refused(adk: Sources, options: SimulationOptions, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build(adk, options)


def test_wrong_files_are_refused(adk: Sources, mirror: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "cv.npy", np.zeros(7))
    with pytest.raises(UserError, match="has 7 rows but the simulation has 102 frames"):
        build(adk, SimulationOptions(cv_table=tmp_path / "cv.npy"))
    with pytest.raises(UserError, match="not both"):
        build(adk, SimulationOptions(cv_table=tmp_path / "cv.npy", cv1=LID))
    other = replace(adk, topology=mirror / "models" / "adk" / "1ake_A.pdb")
    with pytest.raises(UserError, match=r"3341 atoms in a frame but the topology names \d+"):
        build(other)


def test_the_published_simulation_must_be_given(adk: Sources) -> None:
    dataset = datasets.get("spike-md")
    with pytest.raises(UserError, match="the published simulation cannot be downloaded; give one by --topology"):
        dataset.build(resolve_settings(dataset, "paper"), locate_all(dataset, "paper"), SimulationOptions())
    with pytest.raises(UserError, match="--topology needs a --trajectory"):
        locate_all(dataset, "small", Given(topology=adk.topology))
    with pytest.raises(UserError, match="--trajectory needs a --topology"):
        locate_all(dataset, "small", Given(trajectory=adk.trajectory))
    with pytest.raises(UserError, match="not both"):
        locate_all(dataset, "small", Given(topology=adk.topology, trajectory=adk.trajectory, models=adk.topology))
