"""Jitter of a discrete truth."""

import numpy as np
import pytest

from cryoarena.metrics.jitter import PAPER_AMPLITUDES, jitter


def test_noise_is_uniform_within_the_amplitude_and_independent():
    values = np.repeat([[0.0, 100.0], [3.6, 200.0]], 5000, axis=0)
    noise = jitter(values, 0.05, seed=0) - values
    assert np.abs(noise).max() <= 0.05
    assert noise.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.02)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.04


def test_discrete_truth_has_no_duplicates_left_and_keeps_its_order():
    angle = np.repeat(np.arange(100) * 3.6, 50)
    jittered = jitter(angle, PAPER_AMPLITUDES["igg-1d"], seed=1)
    assert len(np.unique(jittered)) == len(angle)
    assert (np.round(jittered / 3.6) == np.arange(100).repeat(50)).all()


def test_equal_seeds_give_equal_noise_and_the_input_is_left_alone():
    values = np.arange(10.0)
    first = jitter(values, 0.1, seed=4)
    np.testing.assert_array_equal(first, jitter(values, 0.1, seed=4))
    assert (first != jitter(values, 0.1, seed=5)).all()
    np.testing.assert_array_equal(values, np.arange(10.0))
    np.testing.assert_array_equal(jitter(values, 0.0, seed=4), values)
