"""Form factors: how strongly each atom scatters at each spatial frequency.

Every form factor is written in separable form, f_i(s) = Σ_r weights[i, r] · g_r(s), so that the Fourier
transform of all atoms is r non-uniform FFTs, each times one radial profile, however many kinds of atoms
there are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms

_SPLINE_KNOTS = 257
_KNOTS_PER_SVD_COLUMN = 4


@dataclass(frozen=True)
class ScatteringModel:
    """Form factors of n atoms, f_i(s) = Σ_r weights[i, r] · profile(s)[r].

    Attributes:
        weights: (n, r) float64.
        profile: takes |s| (1/Å) of any shape S, returns (r, *S).
    """

    weights: NDArray[np.float64]
    profile: Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]]


def molmap_model(atoms: Atoms, resolution_A: float) -> ScatteringModel:
    """Return a Gaussian per atom as in ChimeraX `molmap`, with unit integral times the atomic number.

    σ = resolution / (π √2) ≈ 0.225 · resolution, hence f(s) = Z exp(-2 π² σ² s²) = Z exp(-(resolution s)²).

    Raises:
        UserError: when the resolution is not positive.
    """
    return gaussian_model(atoms.atomic_number, resolution_A)


def gaussian_model(atomic_number: NDArray[np.int64], resolution_A: float) -> ScatteringModel:
    """Return `molmap_model` of n atoms of which only the atomic numbers (n,) are known.

    Raises:
        UserError: when the resolution is not positive.
    """
    if not resolution_A > 0:
        raise UserError(f"the resolution must be positive, not {resolution_A} Å")
    return ScatteringModel(atomic_number[:, None].astype(np.float64), _GaussianProfile(resolution_A))


def electron_model(
    atoms: Atoms, max_frequency_per_A: float, extra_b_A2: float = 0.0, tolerance: float = 1e-5
) -> ScatteringModel:
    """Return electron form factors (Å) damped by B-factors: occupancy · f_e(s) · exp(-B s² / 4).

    f_e are the five Gaussians of International Tables C, table 4.3.2.2 (Peng et al. 1996) as tabled by gemmi.
    The distinct (element, B) curves are compressed by a singular value decomposition.

    Args:
        atoms: with B-factors and occupancies.
        max_frequency_per_A: highest |s| that will be asked for; the corner of a map's band is √3 / (2 pixel).
        extra_b_A2: added to every B-factor.
        tolerance: largest error of any f_i(s), relative to the greatest |f_i|.

    Raises:
        UserError: when the table lacks an element.
    """
    kinds, kind_of_atom = np.unique(
        np.stack([atoms.atomic_number, atoms.b_factor_A2 + extra_b_A2], axis=1), axis=0, return_inverse=True
    )
    frequency = np.linspace(0.0, max_frequency_per_A, _SPLINE_KNOTS)
    curves = _electron_form_factors(kinds[:, 0].astype(np.int64), kinds[:, 1], frequency)
    # The curves are smooth: some of their columns span all of them.
    left = np.linalg.svd(curves[:, ::_KNOTS_PER_SVD_COLUMN], full_matrices=False)[0]
    components = left.T @ curves
    # Half of the tolerance is left to the spline between the knots.
    allowed = tolerance / 2 * np.abs(curves).max()
    remainder = curves.copy()
    rank = 0
    while np.abs(remainder).max() > allowed:
        remainder -= np.outer(left[:, rank], components[rank])
        rank += 1
    spline = CubicSpline(frequency, components[:rank].T)
    weights = atoms.occupancy[:, None] * left[kind_of_atom.ravel(), :rank]
    return ScatteringModel(weights, _SplineProfile(spline, max_frequency_per_A))


def _electron_form_factors(
    atomic_number: NDArray[np.int64], b_factor_A2: NDArray[np.float64], frequency_per_A: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Evaluate f_e(s) exp(-B s² / 4) for each (element, B): (kinds, frequencies)."""
    # gemmi's tables are functions of (sin θ / λ)² = s² / 4, like the B-factor.
    stol2 = frequency_per_A**2 / 4
    curves = {}
    for number in np.unique(atomic_number):
        table = gemmi.Element(int(number)).c4322
        if table is None:
            raise UserError(
                f"there are no electron scattering factors for {gemmi.Element(int(number)).name}; "
                "remove those atoms or use the molmap density"
            )
        a, b = np.split(np.array(table.get_coefs()), 2)
        curves[number] = a @ np.exp(-b[:, None] * stol2)
    bare = np.stack([curves[number] for number in atomic_number])
    return np.asarray(bare * np.exp(-b_factor_A2[:, None] * stol2))


# Classes, not closures, so that a model can be sent to worker processes.
@dataclass(frozen=True)
class _GaussianProfile:
    resolution_A: float

    def __call__(self, frequency_per_A: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        return np.asarray(np.exp(-((self.resolution_A * np.asarray(frequency_per_A, np.float64)) ** 2)))[None]


@dataclass(frozen=True)
class _SplineProfile:
    spline: CubicSpline
    max_frequency_per_A: float

    def __call__(self, frequency_per_A: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        if np.max(frequency_per_A, initial=0.0) > self.max_frequency_per_A * (1 + 1e-6):
            raise ValueError(f"form factors are known up to {self.max_frequency_per_A} 1/Å only")
        return np.moveaxis(np.asarray(self.spline(frequency_per_A)), -1, 0)
