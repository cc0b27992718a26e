"""An antibody of pseudo-atoms built by code, for tests and for suites that may not need any file."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.structures.atoms import Atoms, centred
from cryoarena.structures.ig_domain import CONSTANT, VARIABLE, IgFold, backbone
from cryoarena.structures.side_chains import with_side_chains

# Distances between domain centres (Å) in an intact IgG1 (Saphire et al. 2001, doi:10.1126/science.1061692).
_VARIABLE_PAIR_A = 22.0
_CONSTANT_PAIR_A = 18.0
_VARIABLE_TO_CONSTANT_A = 35.0
_CONSTANT_TO_HINGE_A = 24.0
_CH2_PAIR_A = 37.0
_CH3_PAIR_A = 18.0
_CH2_TO_CH3_A = 33.0
_HINGE_TO_CH2_A = 28.0

_ELBOW_DEG = 25.0  # 180° minus the elbow angle of a Fab
_RESIDUE_STEP_A = 3.6

Points = NDArray[np.float64]


@dataclass(frozen=True)
class PseudoAntibody:
    """An antibody and the bond about which one Fab turns.

    Attributes:
        atoms: chains H and K (heavy), L and M (light); two pseudo-atoms per residue, CA and CB.
        axis_from, axis_to: indices of the ends of the hinge bond; `axis_from` is on the moving side.
        moving: (n,) mask of the Fab of chains H and L.
    """

    atoms: Atoms
    axis_from: int
    axis_to: int
    moving: NDArray[np.bool_]


def build_pseudo_antibody(seed: int = 0) -> PseudoAntibody:
    """Build an IgG of twelve immunoglobulin domains from published domain geometry.

    The domains are those of `ig_domain`, arranged as in intact antibodies: Fab about 80 x 50 x 40 Å, the two Fabs and
    the Fc all different in angle (Saphire et al. 2001; Harris et al. 1998, doi:10.1006/jmbi.1997.1508). The Fab of
    chains H and L is tilted against its hinge bond, so that turning it sweeps a cone, free of clashes all around.

    Args:
        seed: of the side chains, which make every domain different; the backbone does not depend on it.
    """
    rng = np.random.default_rng(seed)
    hinge_h, hinge_k = np.array([-12.0, 0.0, 14.0]), np.array([12.0, 0.0, 12.0])
    bond_h = _unit([-0.72, 0.0, 0.69])
    towards_h = Rotation.from_rotvec(np.deg2rad(38) * _unit([0.3, 1.0, 0.3])).apply(bond_h)
    vh, vl, ch1_h, cl_l = _fab(hinge_h, towards_h, _unit([0.2, 1.0, 0.1]))
    vk, vm, ch1_k, cl_m = _fab(hinge_k, _unit([0.93, 0.33, -0.05]), _unit([-0.1, 0.5, 1.0]))
    down = np.array([0.0, 0.0, -1.0])
    across = _unit([1.0, 0.3, 0.0])
    ch2_h, ch2_k = _pair(CONSTANT, _HINGE_TO_CH2_A * down, down, across, _CH2_PAIR_A, 25.0, inner_sheet=1)
    ch3_h, ch3_k = _pair(
        CONSTANT,
        (_HINGE_TO_CH2_A + _CH2_TO_CH3_A) * down,
        down,
        across,
        _CH3_PAIR_A,
        -25.0,
        inner_sheet=0,
    )
    core_h, core_k = np.array([-2.7, 0.0, 0.0]), np.array([2.7, 0.0, 0.0])
    fab_h = _joined(vh, ch1_h, hinge_h[None])
    rest_h = _joined((hinge_h - _RESIDUE_STEP_A * bond_h)[None], core_h[None], ch2_h, ch3_h)
    chains = {
        "H": np.concatenate([fab_h, rest_h]),
        "K": _joined(vk, ch1_k, hinge_k[None], core_k[None], ch2_k, ch3_k),
        "L": _joined(vl, cl_l),
        "M": _joined(vm, cl_m),
    }
    atoms = centred(with_side_chains(chains, rng))
    before_bond = (atoms.chain == "H") & (atoms.residue_number <= len(fab_h))
    # Two pseudo-atoms per residue, CA first.
    return PseudoAntibody(
        atoms, 2 * (len(fab_h) - 1), 2 * len(fab_h), np.asarray(before_bond | (atoms.chain == "L"), np.bool_)
    )


def _fab(hinge: Points, outward: Points, across: Points) -> tuple[Points, Points, Points, Points]:
    """Return V and V of the pair, then C and C; the chains run from the tip back to the hinge."""
    elbow = Rotation.from_rotvec(np.deg2rad(_ELBOW_DEG) * across)
    constant_centre = hinge + _CONSTANT_TO_HINGE_A * outward
    variable_outward = elbow.apply(outward)
    variable_centre = constant_centre + _VARIABLE_TO_CONSTANT_A * _unit(outward + variable_outward)
    variable = _pair(VARIABLE, variable_centre, -variable_outward, across, _VARIABLE_PAIR_A, -20.0, inner_sheet=1)
    constant = _pair(CONSTANT, constant_centre, -outward, across, _CONSTANT_PAIR_A, 20.0, inner_sheet=0)
    return *variable, *constant


def _pair(
    fold: IgFold,
    centre: Points,
    along: Points,
    across: Points,
    separation_A: float,
    tilt_deg: float,
    inner_sheet: int,
) -> tuple[Points, Points]:
    """Place two domains side by side, related by a two-fold axis `along`, one sheet of each facing the other.

    Args:
        fold: of both.
        centre: of the pair.
        along: direction in which the chains run.
        across: from the first domain to the second; made perpendicular to `along`.
        separation_A: between the domain centres.
        tilt_deg: of the strands against `along`, opposite in the two.
        inner_sheet: 0 or 1.
    """
    x = _unit(across - np.dot(across, along) * along)
    to_pair = Rotation.from_matrix(np.stack([x, np.cross(along, x), along], axis=1))
    # The domain's y axis, from sheet 0 to sheet 1, is laid along ± x of the pair.
    facing = Rotation.from_euler("z", -90 if inner_sheet == 1 else 90, degrees=True)
    tilted = Rotation.from_euler("x", tilt_deg, degrees=True) * facing
    first = tilted.apply(backbone(fold)) - [separation_A / 2, 0, 0]
    second = first * [-1, -1, 1]
    return to_pair.apply(first) + centre, to_pair.apply(second) + centre


def _joined(*pieces: Points) -> Points:
    """Join pieces of one chain by straight linkers of one residue every 3.6 Å or so."""
    joined = [pieces[0]]
    for piece in pieces[1:]:
        start, gap = joined[-1][-1], piece[0] - joined[-1][-1]
        steps = max(1, round(float(np.linalg.norm(gap)) / _RESIDUE_STEP_A))
        joined += [start + np.arange(1, steps)[:, None] / steps * gap, piece]
    return np.concatenate(joined)


def _unit(vector: list[float] | Points) -> Points:
    return np.asarray(vector, np.float64) / np.linalg.norm(vector)
