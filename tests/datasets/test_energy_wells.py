"""Wells of energy surfaces."""

import numpy as np

from cryoarena.datasets.energy_wells import energy_wells
from cryoarena.datasets.ribosome_wells import WellsOptions, wells_surface


def test_two_wells_part_at_the_top_between_them() -> None:
    x = np.linspace(-2, 2, 81)
    wells = energy_wells((x**2 - 1) ** 2 * 3, 0.5)
    np.testing.assert_array_equal(wells[x < -0.05], 0)
    np.testing.assert_array_equal(wells[x > 0.05], 1)


def test_a_ripple_is_no_well() -> None:
    x = np.linspace(-2, 2, 401)
    energy = (x**2 - 1) ** 2 * 3 + 0.1 * np.cos(60 * x)
    assert len(np.unique(energy_wells(energy, 0.05))) > 10
    assert len(np.unique(energy_wells(energy, 0.5))) == 2
    # A barrier of 3 kT parts wells only where they need not be deeper.
    assert len(np.unique(energy_wells(energy, 3.5))) == 1


def test_infinite_cells_belong_to_no_well_and_part_others() -> None:
    energy = np.zeros((3, 5))
    energy[:, 2] = np.inf
    wells = energy_wells(energy, 10.0)
    np.testing.assert_array_equal(wells, [[0, 0, -1, 1, 1]] * 3)


def test_the_landscape_has_twelve_wells_each_around_its_centre() -> None:
    surface = wells_surface(WellsOptions())
    wells = energy_wells(surface.energy_kT, 0.5)
    assert wells.max() == 11
    centres = [
        wells[np.abs(surface.axes[0] - x).argmin(), np.abs(surface.axes[1] - y).argmin()]
        for x in (-9, -3, 3, 9)
        for y in (-6, 0, 6)
    ]
    np.testing.assert_array_equal(centres, np.arange(12))
    # Wells are about as large as their distance allows.
    sizes = np.bincount(wells.ravel()) / wells.size
    assert sizes.min() > 0.5 / 12
    assert sizes.max() < 1.6 / 12
