"""Collective variables against analytic values."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.structures.collective_variable import parse_cv


def around(*centre: float) -> np.ndarray:
    """Return four points whose centre is given."""
    return np.array(centre) + np.array([[1.0, 0, 0], [-1, 0, 0], [0, 2, 1], [0, -2, -1]])


def value(text: str, *groups: np.ndarray) -> float:
    return parse_cv(text).value(groups, groups)


def test_centres_of_groups_have_distance_angle_and_dihedral() -> None:
    a, b, c, d = around(3, 0, 0), around(0, 0, 0), around(0, 4, 0), around(0, 4, 5)
    assert value("distance: a | c", a, c) == pytest.approx(5)
    assert value("angle: a | b | c", a, b, c) == pytest.approx(90)
    assert value("angle: a | b | c", a, b, -a) == pytest.approx(180)
    # Seen from b to c (along +y), d is clockwise from a: +z is reached from +x by turning right.
    assert value("dihedral: a | b | c | d", a, b, c, d) == pytest.approx(-90)
    assert value("dihedral: a | b | c | d", a, b, c, around(0, 4, -5)) == pytest.approx(90)


def test_rmsd_sees_deformation_and_no_rigid_motion() -> None:
    first = np.random.default_rng(0).normal(size=(20, 3))
    moved = Rotation.from_rotvec([0.3, -1, 2]).apply(first) + np.array([5, 6, 7])
    assert parse_cv("rmsd: all").value([moved], [first]) == pytest.approx(0, abs=1e-9)
    # Swelling by a tenth moves every point by a tenth of its distance from the centre.
    size = np.sqrt(((first - first.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert parse_cv("rmsd: all").value([1.1 * moved], [first]) == pytest.approx(0.1 * size)


def test_units_and_periods() -> None:
    assert [(cv.unit, cv.period) for cv in map(parse_cv, ("rmsd: a", "angle: a|b|c", "dihedral: a|b|c|d"))] == [
        ("Å", None),
        ("deg", None),
        ("deg", 360.0),
    ]
    assert parse_cv(" distance : resid 1:5|name CA ").selections == ("resid 1:5", "name CA")


@pytest.mark.parametrize("text", ["", "distance", "distance: a", "angle: a | b", "rmsd:", "size: a", "distance: a | "])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no collective variable"):
        parse_cv(text)
