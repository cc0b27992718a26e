"""A score between floor and ceiling is told only where the two are clearly apart."""

import pytest

from cryoarena.benchmark.score_rows import row_of


@pytest.mark.parametrize(
    ("floor", "ceiling", "standard_error", "direction", "normalised"),
    [
        (0.30, 0.40, 0.01, "higher", 0.2),
        (0.40, 0.30, 0.01, "lower", 0.8),
        (0.40, 0.30, 0.01, "higher", None),
        (0.30, 0.40, 0.05, "higher", None),
        # Sure to be apart, but by less than a fiftieth: .32 would be -3,100 %.
        (0.475, 0.480, 0.0001, "higher", None),
        (0.00, 0.02, 0.001, "higher", 16.0),
    ],
)
def test_normalised_needs_limits_that_are_clearly_apart(
    floor: float, ceiling: float, standard_error: float, direction: str, normalised: float | None
) -> None:
    limits = {
        kind: {"scores": {"per-image-fsc/auc": {"value": value, "standard_error": standard_error}}}
        for kind, value in (("floor", floor), ("ceiling", ceiling))
    }
    observed = {"value": 0.32, "unit": "", "standard_error": 0.01, "n": 100, "direction": direction}
    found = row_of("per-image-fsc", "auc", observed, limits)["normalised"]
    assert found == (None if normalised is None else pytest.approx(normalised))
