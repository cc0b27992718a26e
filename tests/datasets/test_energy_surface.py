"""Free-energy surfaces and their Boltzmann distribution."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.energy_surface import EnergySurface, read_energy_surface
from cryoarena.errors import UserError


def harmonic() -> EnergySurface:
    x, y = np.linspace(-5, 5, 101), np.linspace(-4, 4, 81)
    return EnergySurface(("x", "y"), (x, y), x[:, None] ** 2 / 2 + y**2 / (2 * 0.25))


def test_draws_follow_the_boltzmann_distribution() -> None:
    points = harmonic().draw(20_000, np.random.default_rng(0))
    # A harmonic well of stiffness k kT has variance 1/k.
    np.testing.assert_allclose(points.var(axis=0), [1.0, 0.25], rtol=0.05)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.03)
    assert abs(np.corrcoef(points.T)[0, 1]) < 0.03


def test_a_forbidden_cell_is_never_drawn_and_the_probability_is_that_of_the_energy() -> None:
    surface = EnergySurface(("x",), (np.arange(3.0),), np.array([0.0, np.log(3.0), np.inf]))
    np.testing.assert_allclose(surface.probability(), [0.75, 0.25, 0.0])
    points = surface.draw(1000, np.random.default_rng(0))
    assert points.max() <= 1.5
    assert points.min() >= -0.5


def test_it_is_read_as_it_was_saved(tmp_path: Path) -> None:
    harmonic().save(tmp_path / "energy.npz")
    again = read_energy_surface(tmp_path / "energy.npz")
    assert again.cv_names == ("x", "y")
    np.testing.assert_array_equal(again.energy_kT, harmonic().energy_kT)
    np.testing.assert_array_equal(again.axes[1], harmonic().axes[1])


def test_another_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", values=np.zeros(3))
    with pytest.raises(UserError, match="is not an energy surface"):
        read_energy_surface(tmp_path / "other.npz")


@pytest.mark.parametrize(("unit", "kT_at_300"), [("kJ_per_mol", 2.4943), ("kcal_per_mol", 0.59616)])
def test_energies_per_mole_are_turned_into_kT(tmp_path: Path, unit: str, kT_at_300: float) -> None:
    path = tmp_path / "energy.npz"
    np.savez(path, cv_names=["x"], axis_0=np.arange(2.0), **{f"energy_{unit}": np.array([0.0, kT_at_300])})
    np.testing.assert_allclose(read_energy_surface(path, 300.0).energy_kT, [0, 1], rtol=1e-4)
    # Twenty times as hot is twenty times as flat (the published set was drawn at 6000 K).
    np.testing.assert_allclose(read_energy_surface(path, 6000.0).energy_kT, [0, 0.05], rtol=1e-4)
    with pytest.raises(UserError, match="name a temperature"):
        read_energy_surface(path)


def test_a_temperature_for_energies_in_kT_and_uneven_axes_are_refused(tmp_path: Path) -> None:
    harmonic().save(tmp_path / "energy.npz")
    with pytest.raises(UserError, match="leave temperature_K out"):
        read_energy_surface(tmp_path / "energy.npz", 300.0)
    EnergySurface(("x",), (np.array([0.0, 1.0, 3.0]),), np.zeros(3)).save(tmp_path / "uneven.npz")
    with pytest.raises(UserError, match="axis of x is not ascending in even steps"):
        read_energy_surface(tmp_path / "uneven.npz")
    EnergySurface(("x",), (np.arange(3.0),), np.array([0.0, np.nan, 1.0])).save(tmp_path / "nan.npz")
    with pytest.raises(UserError, match="an energy is NaN"):
        read_energy_surface(tmp_path / "nan.npz")
