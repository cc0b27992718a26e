"""What neither a perfect specimen nor a perfect microscope would do to particles."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.coma import coma_phase
from cryoarena.imaging.ctf import CtfParameters, electron_wavelength_A
from cryoarena.imaging.ice import ice_envelope


@dataclass(frozen=True)
class Imperfections:
    """Of N particles.

    Attributes:
        ice_nm: (N,) thickness of the ice; 0 where it does nothing.
        beam_tilt_mrad: (N, 2) along image x and y.
        visible: (N,) whether the particle shows at all.
        grey_scale: (N,) factor of all grey values, of signal and noise.
    """

    ice_nm: NDArray[np.float64]
    beam_tilt_mrad: NDArray[np.float64]
    visible: NDArray[np.bool_]
    grey_scale: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ice_nm)

    def __getitem__(self, index: NDArray[np.int64] | slice) -> "Imperfections":
        """Return those of some particles."""
        return Imperfections(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def transfer(
        self,
        parameters: CtfParameters,
        frequency_x_per_A: NDArray[np.floating],
        frequency_y_per_A: NDArray[np.floating],
    ) -> NDArray[np.complex64]:
        """Return by what the spectra (N, *S) of images are multiplied besides the CTF."""
        wavelength_A = electron_wavelength_A(parameters.voltage_kV)
        envelope = ice_envelope(self.ice_nm, wavelength_A, frequency_x_per_A**2 + frequency_y_per_A**2)
        coma = coma_phase(self.beam_tilt_mrad, parameters, frequency_x_per_A, frequency_y_per_A)
        return np.asarray(envelope * coma, np.complex64)


def perfect(n: int) -> Imperfections:
    """Return the imperfections of n particles that have none."""
    return Imperfections(np.zeros(n), np.zeros((n, 2)), np.ones(n, np.bool_), np.ones(n))
