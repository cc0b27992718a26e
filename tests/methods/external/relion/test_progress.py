"""What relion_refine prints when an iteration begins: RELION 3.1 and 4, with poses given and by gradients."""

import pytest

from cryoarena.methods.external.relion.refine import progress_of


@pytest.mark.parametrize(
    ("line", "share"),
    [
        (" Expectation iteration 2 of 25\n", 1 / 25),
        # Auto-refinement does not tell how many.
        (" Expectation iteration 3\n", 2 / 10),
        (" Stochastic Gradient Descent iteration 4 of 6\n", 3 / 6),
        (" Gradient optimisation iteration 51 of 100 with 500 particles\n", 50 / 100),
    ],
)
def test_an_iteration_begins(line: str, share: float) -> None:
    told = progress_of(line, iterations=10)
    assert told is not None
    assert told.done / told.total == pytest.approx(share)


def test_other_lines_tell_nothing() -> None:
    assert progress_of(" Maximization ...\n", 10) is None
