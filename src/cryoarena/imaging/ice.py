"""What the thickness of the ice does to an image."""

import numpy as np
from numpy.typing import NDArray

# Inelastic mean free path of 300 kV electrons in vitreous ice.
MEAN_FREE_PATH_NM = 300.0


def draw_thickness_nm(n: int, mean_nm: float, spread_nm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw n thicknesses from the gamma distribution with this mean and standard deviation."""
    if spread_nm == 0:
        return np.full(n, mean_nm)
    return rng.gamma((mean_nm / spread_nm) ** 2, spread_nm**2 / mean_nm, size=n)


def ice_envelope(
    thickness_nm: NDArray[np.float64], wavelength_A: NDArray[np.float64], squared_frequency: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return exp(-t / Λ) sinc(λ s² t / 2) with sinc(x) = sin(πx) / (πx).

    Electrons that lose energy are lost to the image; the others are defocused differently all through the ice, which
    is a mean of cos(πλ s² z) over z = -t/2 … t/2.

    Args:
        thickness_nm: (n,) t.
        wavelength_A: (n,) λ.
        squared_frequency: s² (1/Å²) of any shape S.

    Returns:
        (n, *S).
    """
    column = (slice(None), *(None,) * squared_frequency.ndim)
    spread = np.sinc((wavelength_A * 10 * thickness_nm / 2)[column] * squared_frequency)
    return np.asarray(np.exp(-thickness_nm / MEAN_FREE_PATH_NM)[column] * spread)
