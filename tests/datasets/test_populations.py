"""Populations that a user asks for."""

import numpy as np
import pytest

from cryoarena.datasets.populations import populations
from cryoarena.errors import UserError

RNG = np.random.default_rng(0)


def test_geometric_shares_have_their_ratio() -> None:
    shares = populations("geometric:0.5", 6, RNG)
    np.testing.assert_allclose(shares[1:] / shares[:-1], 0.5)
    assert shares.sum() == pytest.approx(1)
    assert np.isfinite(populations("geometric:3", 5000, RNG)).all()


def test_given_shares_are_normalised() -> None:
    np.testing.assert_allclose(populations("6,3,1", 3, RNG), [0.6, 0.3, 0.1])


def test_dirichlet_shares_vary_as_they_should() -> None:
    drawn = np.stack([populations("dirichlet:2", 4, RNG) for _ in range(4000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0.25, atol=0.01)
    # The variance of a share is (1/K)(1 - 1/K) / (K alpha + 1).
    np.testing.assert_allclose(drawn.var(axis=0), 0.25 * 0.75 / 9, rtol=0.1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("geometric:0", "takes geometric:RATIO"),
        ("even", "takes geometric:RATIO"),
        ("1,2", "2 shares but there are 3 conformations"),
        ("1,-2,3", "negative"),
        ("0,0,0", "none above 0"),
    ],
)
def test_other_texts_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        populations(text, 3, RNG)
