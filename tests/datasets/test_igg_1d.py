"""IgG-1D on the real 1HZH."""

from pathlib import Path

import numpy as np

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.turning import TurnOptions
from cryoarena.structures.atoms import centred, read_atoms
from cryoarena.structures.dihedral import dihedral_deg, find_atom


def test_one_fab_turns_by_equal_steps(mirror: Path) -> None:
    path = mirror / "models" / "igg" / "1hzh.pdb"
    dataset = datasets.get("igg-1d")
    ensemble = dataset.build(resolve_settings(dataset, "paper"), Sources({"1hzh.pdb": path}), TurnOptions())
    positions = ensemble.specimen.positions_A
    assert len(positions) == 100
    np.testing.assert_allclose(ensemble.cvs["psi_H230"], np.arange(100) * 3.6)
    atoms = centred(read_atoms(path))
    psi_atoms = [find_atom(atoms, "H", *key) for key in ((230, "N"), (230, "CA"), (230, "C"), (232, "N"))]
    psi = np.array([dihedral_deg(*position[psi_atoms].astype(np.float64)) for position in positions])
    np.testing.assert_allclose((psi - psi[0]) % 360, ensemble.cvs["psi_H230"], atol=1e-3)
    moved = np.linalg.norm(positions[50] - positions[0], axis=1) > 0.01
    # Chain L and chain H up to residue 230 move; the other Fab, the Fc and the glycans do not.
    assert moved[atoms.chain == "L"].mean() > 0.99
    assert not moved[np.isin(atoms.chain, ["K", "M", "A", "B"])].any()
    heavy = atoms.chain == "H"
    assert not moved[heavy & (atoms.residue_number > 230)].any()
    assert moved[heavy & (atoms.residue_number < 230)].mean() > 0.99
    assert any("Clashes" in note for note in ensemble.notes)


def test_settings_are_those_of_the_paper() -> None:
    settings = resolve_settings(datasets.get("igg-1d"), "paper")
    assert (settings.images, settings.conformations, settings.box_px, settings.pixel_size_A) == (100_000, 100, 128, 3.0)
    assert (settings.source_box_px, settings.source_pixel_size_A, settings.max_shift_px) == (256, 1.5, 20.0)
    assert (settings.voltage_kV, settings.cs_mm, settings.amplitude_contrast, settings.snr) == (300.0, 2.7, 0.1, 0.01)


def test_every_image_may_have_its_own_angle(mirror: Path) -> None:
    path = mirror / "models" / "igg" / "1hzh.pdb"
    dataset = datasets.get("igg-1d")
    settings = resolve_settings(dataset, "small", images=40, conformations=5)
    ensemble = dataset.build(settings, Sources({"1hzh.pdb": path}), TurnOptions(per_image=True))
    angles = ensemble.cvs["psi_H230"]
    assert len(ensemble.specimen) == len(angles) == len(np.unique(angles)) == 40
    assert ensemble.mapped.tolist() == [0, 8, 16, 24, 32]
    # The Fab is turned by the difference of the angles.
    rotation = ensemble.rigid_bodies.motion.rotation[:, 1]
    found_deg = np.rad2deg(np.arccos(np.clip((np.trace(rotation, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    turn_deg = angles - angles[0]
    np.testing.assert_allclose(found_deg, np.minimum(turn_deg, 360 - turn_deg), atol=0.05)
