"""States of an assembly told from occupancies."""

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.structures.assembly_states import find_states

STATES = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 1]], bool)
MASS_KDA = np.array([50.0, 20.0, 20.0, 20.0, 5.0])
SHOWN = np.array([0, 0, 0, 1, 2, 2])


def occupancy() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(STATES[SHOWN] + rng.normal(size=(6, 5)) * 0.15, -0.2, 1.2)


def test_noisy_maps_give_the_states_lightest_first() -> None:
    states = find_states(occupancy(), MASS_KDA, 3, 0.5)
    np.testing.assert_array_equal(states.present, STATES[[1, 2, 0]])
    np.testing.assert_array_equal(states.maps, [1, 2, 3])


def test_maps_that_differ_least_are_joined() -> None:
    # 55 kDa against 45 kDa and 35 kDa: the two fuller states differ least from each other, by 45 kDa.
    states = find_states(occupancy(), MASS_KDA, 2, 0.5)
    np.testing.assert_array_equal(states.maps, [3, 3])


def test_more_states_than_the_maps_show_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"6 maps show no more than 3 different states at a minimal occupancy of 0\.5, not 5"
    ):
        find_states(STATES[SHOWN].astype(float), MASS_KDA, 5, 0.5)


def test_a_state_of_nothing_is_refused() -> None:
    shown = STATES[SHOWN].astype(float)
    shown[3] = 0
    with pytest.raises(UserError, match="a state has no segment"):
        find_states(shown, MASS_KDA, 3, 0.5)
