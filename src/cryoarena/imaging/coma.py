"""What a tilted beam does to an image: axial coma."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.ctf import CtfParameters, electron_wavelength_A


def coma_phase(
    beam_tilt_mrad: NDArray[np.float64],
    parameters: CtfParameters,
    frequency_x_per_A: NDArray[np.floating],
    frequency_y_per_A: NDArray[np.floating],
) -> NDArray[np.complex64]:
    """Return exp(-iφ) with φ = 2π Cs λ² |k|² (k · t), by which the spectrum of an image is multiplied.

    The shift and the astigmatism that a tilted beam also causes are taken to be in pose and CTF (Zivanov et al. 2020,
    doi:10.1107/S2052252520000081). The sign makes t RELION's rlnBeamTiltX and rlnBeamTiltY.

    Args:
        beam_tilt_mrad: (n, 2) tilt t of the beam along image x and y.
        parameters: of n particles.
        frequency_x_per_A, frequency_y_per_A: k, of any shape S.

    Returns:
        (n, *S) complex64.
    """
    column = (slice(None), *(None,) * frequency_x_per_A.ndim)
    along = 1e-3 * (beam_tilt_mrad[:, 0][column] * frequency_x_per_A + beam_tilt_mrad[:, 1][column] * frequency_y_per_A)
    scale = 2 * np.pi * 1e7 * parameters.cs_mm * electron_wavelength_A(parameters.voltage_kV) ** 2
    phase = scale[column] * (frequency_x_per_A**2 + frequency_y_per_A**2) * along
    return np.asarray(np.exp(-1j * phase), np.complex64)
