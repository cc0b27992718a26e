"""A free-energy surface over collective variables, and the Boltzmann distribution that follows from it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import atomic_path

# The gas constant, in the units that energies come in.
_GAS_CONSTANT = {"kJ_per_mol": 8.31446261815324e-3, "kcal_per_mol": 1.98720425864083e-3}


@dataclass(frozen=True)
class EnergySurface:
    """Free energy on a regular grid of c collective variables.

    Attributes:
        cv_names: (c,) names.
        axes: c arrays (n_1,) … (n_c,) of cell centres, ascending and evenly spaced, in the units of the CVs.
        energy_kT: (n_1, …, n_c) in units of kT; infinite where nothing is.
    """

    cv_names: tuple[str, ...]
    axes: tuple[NDArray[np.float64], ...]
    energy_kT: NDArray[np.float64]

    def probability(self) -> NDArray[np.float64]:
        """Return the Boltzmann probability of every cell, exp(-E/kT) normalised to 1."""
        weight = np.exp(-(self.energy_kT - self.energy_kT.min()))
        return np.asarray(weight / weight.sum())

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw n points (n, c): a cell by its probability, then a place in it at random."""
        cells = rng.choice(self.energy_kT.size, size=n, p=self.probability().ravel())
        index = np.unravel_index(cells, self.energy_kT.shape)
        widths = [axis[1] - axis[0] for axis in self.axes]
        return np.stack(
            [
                axis[i] + width * rng.uniform(-0.5, 0.5, n)
                for axis, i, width in zip(self.axes, index, widths, strict=True)
            ],
            axis=1,
        )

    def cells(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the cell (n,) of the flattened grid that each point (n, c) lies in, the nearest for one outside."""
        index = [
            np.clip(np.round((values - axis[0]) / (axis[1] - axis[0])), 0, len(axis) - 1).astype(np.int64)
            for values, axis in zip(points.T, self.axes, strict=True)
        ]
        return np.asarray(np.ravel_multi_index(tuple(index), self.energy_kT.shape))

    def save(self, path: Path) -> None:
        """Write a .npz with `cv_names`, `energy_kT` and `axis_0` …."""
        arrays: dict[str, Any] = {f"axis_{number}": axis for number, axis in enumerate(self.axes)}
        arrays |= {"cv_names": np.array(self.cv_names), "energy_kT": self.energy_kT}
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)


def read_energy_surface(path: Path, temperature_K: float | None = None) -> EnergySurface:
    """Read what `EnergySurface.save` wrote, or the same with `energy_kJ_per_mol` or `energy_kcal_per_mol`.

    Args:
        path: .npz file.
        temperature_K: that turns energies per mole into kT.

    Raises:
        UserError: when the file is none, its axes do not match or are not even, or the temperature is missing, not
            positive, or given for energies in kT.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            unit = next((unit for unit in _GAS_CONSTANT if f"energy_{unit}" in arrays), "kT")
            energy = arrays[f"energy_{unit}"].astype(np.float64)
            axes = tuple(arrays[f"axis_{number}"].astype(np.float64) for number in range(energy.ndim))
            cv_names = tuple(str(name) for name in arrays["cv_names"])
    except (KeyError, ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not an energy surface (arrays `cv_names`, `energy_kT`, `axis_0` …): {error}"
        ) from error
    energy_kT = energy * _kT_per(unit, temperature_K, path)
    if tuple(map(len, axes)) != energy_kT.shape or len(cv_names) != len(axes):
        raise UserError(f"{path}: the axes do not match an energy of shape {energy_kT.shape}")
    for name, axis in zip(cv_names, axes, strict=True):
        steps = np.diff(axis)
        if len(axis) < 2 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-3):
            raise UserError(f"{path}: the axis of {name} is not ascending in even steps")
    if not np.isfinite(energy_kT.min()):
        raise UserError(f"{path}: an energy is NaN or -inf, or none is finite")
    return EnergySurface(cv_names, axes, energy_kT)


def _kT_per(unit: str, temperature_K: float | None, path: Path) -> float:
    if unit == "kT":
        if temperature_K is not None:
            raise UserError(f"{path} gives energies in kT, which already holds a temperature; leave temperature_K out")
        return 1.0
    if temperature_K is None or not temperature_K > 0:
        raise UserError(f"{path} gives energies in {unit}; name a temperature: --set temperature_K=310")
    return 1.0 / (_GAS_CONSTANT[unit] * temperature_K)
