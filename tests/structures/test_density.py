import pickle

import gemmi
import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.structures.density import electron_model, molmap_model


def _form_factors(model, frequency):
    return model.weights @ model.profile(frequency)


def test_molmap_is_a_gaussian_of_unit_integral_times_the_atomic_number(make_atoms):
    atoms = make_atoms([[0, 0, 0], [5, 0, 0]], atomic_number=[6, 16])
    resolution_A = 8.0
    frequency = np.linspace(0, 0.3, 50)
    # ChimeraX: sigmaFactor = 1 / (π √2) = 0.225.
    sigma_A = 0.2250791 * resolution_A
    r = np.linspace(0, 10 * sigma_A, 20_001)
    gaussian = np.exp(-(r**2) / (2 * sigma_A**2)) / (2 * np.pi * sigma_A**2) ** 1.5
    transform = [np.trapezoid(gaussian * 4 * np.pi * r**2 * np.sinc(2 * s * r), r) for s in frequency]
    expected = np.outer([6, 16], transform)
    np.testing.assert_allclose(_form_factors(molmap_model(atoms, resolution_A), frequency), expected, atol=1e-5)
    with pytest.raises(UserError, match="resolution must be positive"):
        molmap_model(atoms, 0.0)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_electron_form_factors_are_those_of_gemmi_within_the_tolerance(igg, tolerance):
    some = igg[np.random.default_rng(1).choice(len(igg), 400, replace=False)]
    extra_b_A2 = 30.0
    model = electron_model(some, 0.5, extra_b_A2, tolerance)
    # Not the knots of the spline.
    frequency = np.sort(np.random.default_rng(0).uniform(0, 0.5, 60))
    direct = np.empty((len(some), len(frequency)))
    for i in range(len(some)):
        table = gemmi.Element(int(some.atomic_number[i])).c4322
        for j, s in enumerate(frequency):
            stol2 = s**2 / 4
            direct[i, j] = table.calculate_sf(stol2) * np.exp(-(some.b_factor_A2[i] + extra_b_A2) * stol2)
    error = np.abs(_form_factors(model, frequency) - direct).max()
    assert error < tolerance * direct.max()


def test_rank_stays_low_for_thousands_of_b_factors_and_follows_the_tolerance(igg):
    coarse, fine = (electron_model(igg, 0.3, tolerance=tolerance) for tolerance in (1e-2, 1e-5))
    assert coarse.weights.shape[1] < fine.weights.shape[1] <= 10
    assert fine.weights.shape[0] == len(igg)


def test_occupancy_scales_an_atom(make_atoms):
    atoms = make_atoms([[0, 0, 0], [0, 0, 0]], occupancy=[1.0, 0.25])
    whole, quarter = _form_factors(electron_model(atoms, 0.3), np.array([0.0, 0.1]))
    np.testing.assert_allclose(quarter, whole / 4)


def test_profiles_keep_the_shape_of_the_frequencies_and_can_be_sent_to_another_process(igg):
    frequency = np.random.default_rng(0).uniform(0, 0.2, (3, 4, 5))
    for model in (molmap_model(igg, 5.0), electron_model(igg, 0.2)):
        values = model.profile(frequency)
        assert values.shape == (model.weights.shape[1], 3, 4, 5)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).profile(frequency), values)


def test_a_frequency_beyond_the_table_is_refused(make_atoms):
    model = electron_model(make_atoms([[0, 0, 0]]), 0.2)
    with pytest.raises(ValueError, match=r"up to 0.2 1/Å"):
        model.profile(np.array([0.3]))


def test_an_element_without_a_table_is_refused(make_atoms):
    with pytest.raises(UserError, match="no electron scattering factors for Es; remove those atoms"):
        electron_model(make_atoms([[0, 0, 0]], atomic_number=[99]), 0.2)
