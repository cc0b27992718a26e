"""The contrast transfer function."""

from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.defocus import DefocusTable

# The parameters that belong to the microscope rather than to a particle.
MICROSCOPE = ("voltage_kV", "cs_mm", "amplitude_contrast")


@dataclass(frozen=True)
class CtfParameters:
    """CTF parameters of N particles; every attribute is an (N,) float64 array.

    Defocus is positive for underfocus; the azimuth is that of the U axis, counter-clockwise from image x.
    """

    defocus_u_A: NDArray[np.float64]
    defocus_v_A: NDArray[np.float64]
    defocus_azimuth_deg: NDArray[np.float64]
    voltage_kV: NDArray[np.float64]
    cs_mm: NDArray[np.float64]
    amplitude_contrast: NDArray[np.float64]
    phase_shift_deg: NDArray[np.float64]
    b_factor_A2: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.defocus_u_A)

    def __getitem__(self, index: NDArray[np.int64] | slice) -> "CtfParameters":
        """Return the parameters of some particles."""
        return CtfParameters(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def with_defocus(self, defocus: DefocusTable) -> "CtfParameters":
        """Return the parameters with the defocus of another table of N rows."""
        return replace(
            self,
            defocus_u_A=defocus.defocus_u_A,
            defocus_v_A=defocus.defocus_v_A,
            defocus_azimuth_deg=defocus.azimuth_deg,
        )


def electron_wavelength_A(voltage_kV: Any) -> Any:
    """Return the relativistic electron wavelength (Å) at an accelerating voltage (kV)."""
    volts = 1e3 * voltage_kV
    return 12.2639 / (volts + 0.97845e-6 * volts**2) ** 0.5


def ctf(parameters: CtfParameters, frequency_x_per_A: Any, frequency_y_per_A: Any) -> Any:
    """Evaluate sqrt(1 - w²) sin γ - w cos γ, damped by exp(-B s² / 4); it is -w at zero frequency.

    γ = 2π(-½ Δf λ s² + ¼ Cs λ³ s⁴) - phase shift, with Δf = ½(U + V + (U - V) cos 2(φ - azimuth)): the usual
    weak-phase form (Rohou & Grigorieff 2015, doi:10.1016/j.jsb.2015.08.008).

    Args:
        parameters: of N particles.
        frequency_x_per_A, frequency_y_per_A: equal shapes S (1/Å), both numpy or both torch.

    Returns:
        (N, *S) array in the library, precision and device of the frequencies.
    """
    xp = _library_of(frequency_x_per_A)

    def column(values: NDArray[np.float64]) -> Any:
        shaped = np.asarray(values, np.float64).reshape((-1,) + (1,) * frequency_x_per_A.ndim)
        if xp is np:
            return shaped.astype(frequency_x_per_A.dtype)
        return xp.as_tensor(shaped, dtype=frequency_x_per_A.dtype, device=frequency_x_per_A.device)

    s2 = frequency_x_per_A**2 + frequency_y_per_A**2
    wavelength = electron_wavelength_A(parameters.voltage_kV)
    azimuth = np.deg2rad(2 * parameters.defocus_azimuth_deg)
    mean = (parameters.defocus_u_A + parameters.defocus_v_A) / 2
    half_difference = (parameters.defocus_u_A - parameters.defocus_v_A) / 2
    # (U - V)/2 · s² cos 2(φ - azimuth) written without the angle φ.
    difference_s2 = column(half_difference * np.cos(azimuth)) * (frequency_x_per_A**2 - frequency_y_per_A**2)
    difference_s2 = difference_s2 + column(half_difference * np.sin(azimuth)) * (
        2 * frequency_x_per_A * frequency_y_per_A
    )
    gamma = (
        column(-np.pi * wavelength) * (column(mean) * s2 + difference_s2)
        + column(0.5e7 * np.pi * parameters.cs_mm * wavelength**3) * s2**2
        - column(np.deg2rad(parameters.phase_shift_deg))
    )
    # sqrt(1 - w²) sin γ - w cos γ = sin(γ - asin w)
    values = xp.sin(gamma - column(np.arcsin(parameters.amplitude_contrast)))
    if np.any(parameters.b_factor_A2 != 0):
        values = values * xp.exp(column(-parameters.b_factor_A2 / 4) * s2)
    return values


def _library_of(array: Any) -> ModuleType:
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch
