import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.structures.ramachandran import draw_phi_psi


def shares(residue_name: str) -> dict[str, float]:
    phi, psi = draw_phi_psi(residue_name, 20_000, np.random.default_rng(0)).T
    extended = (phi < 0) & ((psi > 90) | (psi < -150))
    return {
        "polyproline": float((extended & (phi > -95)).mean()),
        "beta": float((extended & (phi <= -95)).mean()),
        "right-handed": float(((phi < 0) & (np.abs(psi + 25) < 60)).mean()),
        "left-handed": float((phi > 0).mean()),
    }


def test_polyproline_leads_then_beta_then_helix_and_left_handed_is_rare() -> None:
    share = shares("LYS")
    assert share["polyproline"] > share["beta"] > 0.2
    assert 0.2 < share["right-handed"] < 0.35
    assert 0.03 < share["left-handed"] < 0.08
    assert sum(share.values()) > 0.97


def test_branching_at_cb_gives_beta_and_aspartate_turns() -> None:
    lysine, threonine, aspartate = shares("LYS"), shares("THR"), shares("ASP")
    assert threonine["beta"] > lysine["beta"] > aspartate["beta"]
    assert threonine["left-handed"] < 0.03 < lysine["left-handed"] < aspartate["left-handed"]


def test_angles_are_degrees_of_one_turn() -> None:
    angles = draw_phi_psi("HIS", 5_000, np.random.default_rng(1))
    assert angles.shape == (5_000, 2)
    assert np.abs(angles).max() <= 180
    assert np.abs(angles).max() > 170


@pytest.mark.parametrize("name", ["GLY", "PRO", "NAG"])
def test_residues_without_a_density_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"no density of φ and ψ for {name}"):
        draw_phi_psi(name, 1, np.random.default_rng(0))
