"""Real trajectories of several formats, and damaged ones."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from MDAnalysisTests import datafiles as example

from cryoarena.errors import UserError
from cryoarena.structures.atoms import read_atoms
from cryoarena.structures.frames import ModelFrames, TrajectoryFrames
from cryoarena.structures.topology import read_topology


@pytest.fixture
def adk(mirror: Path) -> Path:
    return mirror / "md" / "adk_dims001"


def test_frames_survive_pickling_and_stay_what_they_were(adk: Path) -> None:
    frames = TrajectoryFrames(adk / "path.dcd", 3341)
    assert len(frames) == 102
    first = frames.position_A(0)
    kept = first.copy()
    last = frames.position_A(101)
    np.testing.assert_array_equal(first, kept)
    assert np.abs(last - first).max() > 5
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames)).position_A(101), last)


@pytest.mark.parametrize("name", ["XTC", "TRR", "GRO"])
def test_gromacs_files_are_read_in_angstrom(name: str) -> None:
    topology = read_topology(Path(example.GRO))
    frames = TrajectoryFrames(Path(getattr(example, name)), len(topology))
    alpha, carbonyl = (topology.select(f"protein and name {atom}") for atom in ("CA", "C"))
    last = frames.position_A(len(frames) - 1)
    bond_A = np.linalg.norm(last[alpha] - last[carbonyl], axis=1)
    # A molecule may be cut by the box; the bonds that are not are 1.53 Å long.
    assert np.median(bond_A) == pytest.approx(1.53, abs=0.03)


@pytest.mark.parametrize("name", ["XTC", "TRR", "GRO", "DCD"])
def test_another_number_of_atoms_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"(atoms|n_atoms).*"):
        len(TrajectoryFrames(Path(getattr(example, name)), 17))


@pytest.mark.filterwarnings("ignore:seek failed")
def test_a_frame_cut_off_is_refused(tmp_path: Path) -> None:
    whole = Path(example.XTC).read_bytes()
    short = tmp_path / "short.xtc"
    short.write_bytes(whole[: len(whole) * 3 // 4])
    frames = TrajectoryFrames(short, 47681)
    with pytest.raises(UserError, match=r"short.xtc"):
        for frame in range(10):
            frames.position_A(frame)


def test_an_atom_without_a_place_is_refused(adk: Path, tmp_path: Path) -> None:
    data = bytearray((adk / "path.dcd").read_bytes())
    good = TrajectoryFrames(adk / "path.dcd", 3341).position_A(50)
    at = data.find(good[:8, 0].astype("<f4").tobytes())
    assert at > 0
    data[at + 8 : at + 12] = np.array([np.nan], "<f4").tobytes()
    (tmp_path / "nan.dcd").write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"nan.dcd: frame 50: 1 atoms \(first: number 3\) have no finite position"):
        TrajectoryFrames(tmp_path / "nan.dcd", 3341).position_A(50)


# MDAnalysis' reader of DCD files stumbles when it is deleted half-made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_trajectory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.dcd").write_text("not a trajectory")
    with pytest.raises(UserError, match="cannot be read as a trajectory"):
        len(TrajectoryFrames(tmp_path / "text.dcd", 3))
    (tmp_path / "text.doc").write_text("not a trajectory")
    with pytest.raises(UserError, match="cannot be read as a trajectory"):
        len(TrajectoryFrames(tmp_path / "text.doc", 3))


def test_models_must_have_the_same_atoms(mirror: Path) -> None:
    open_, closed = (mirror / "models" / "adk" / f"adk{name}.pdb" for name in ("4AKE", "1AKE"))
    other = mirror / "models" / "adk" / "1ake_A.pdb"
    frames = ModelFrames((open_, closed, other), read_atoms(open_).atom_name)
    assert frames.position_A(1).shape == (3341, 3)
    with pytest.raises(UserError, match=r"1ake_A\.pdb has other atoms"):
        frames.position_A(2)
