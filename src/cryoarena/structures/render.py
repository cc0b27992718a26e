"""Turn atoms into a map without aliasing: sum their Fourier coefficients, then transform once."""

from typing import Any

import finufft
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.structures.density import ScatteringModel


def render_volume(
    position_A: NDArray[np.floating[Any]], model: ScatteringModel, box_px: int, pixel_size_A: float
) -> NDArray[np.float32]:
    """Return the map (D, D, D) [z, y, x] of atoms, in units of f per Å³; coordinate 0 is at voxel D // 2.

    The Fourier coefficients Σ f(|k| / Da) exp(-2πi k·r / Da), k = -(D/2 - 1) … D/2 - 1, are summed by a
    type-1 NUFFT (finufft: Barnett, Magland & af Klinteberg 2019, doi:10.1137/18M120885X), exact to 1e-6. The
    Nyquist planes are zero, so the map is real and band-limited; its sum times pixel³ is Σ f(0).
    One thread, so that equal atoms give equal bits on every machine.

    Args:
        position_A: (n, 3) x, y, z.
        model: form factors of the n atoms.
        box_px: D.
        pixel_size_A: a.

    Raises:
        UserError: when the box is not even and positive.
    """
    if box_px < 2 or box_px % 2:
        raise UserError(f"the box must be an even number of pixels, not {box_px}")
    half = box_px // 2
    # Half a turn moves coordinate 0 from voxel 0, where the FFT has it, to voxel D // 2.
    radians = 2 * np.pi / (box_px * pixel_size_A) * np.asarray(position_A, np.float64) + np.pi
    x, y, z = (np.ascontiguousarray(radians[:, axis]) for axis in range(3))
    kept = np.r_[0:half, half + 1 : box_px]
    squared = np.where(kept < half, kept, kept - box_px) ** 2
    # |k|² is an integer, so the radial profiles need only be known at few thousand distances.
    distance = squared[:, None, None] + squared[None, :, None] + squared[None, None, :half]
    profile = model.profile(np.sqrt(np.arange(distance.max() + 1)) / (box_px * pixel_size_A))
    spectrum = np.zeros((box_px, box_px, half + 1), np.complex128)
    for weights, radial in zip(model.weights.T, profile, strict=True):
        coefficients = finufft.nufft3d1(
            z,
            y,
            x,
            np.ascontiguousarray(weights, np.complex128),
            (box_px - 1,) * 3,
            eps=1e-6,
            isign=-1,
            modeord=1,
            upsampfac=1.25,
            nthreads=1,
        )
        spectrum[np.ix_(kept, kept, range(half))] += coefficients[:, :, :half] * radial[distance]
    volume = scipy.fft.irfftn(spectrum, s=(box_px,) * 3, overwrite_x=True)
    return (volume / pixel_size_A**3).astype(np.float32)


def check_fits(reach_A: float, box_px: int, pixel_size_A: float, margin_A: float = 0.0) -> None:
    """Check that a molecule is inside the sphere that fits in the box, less a margin for shifts.

    Args:
        reach_A: distance of its farthest atom from the origin.
        box_px: D.
        pixel_size_A: a.
        margin_A: kept free all around.

    Raises:
        UserError: when it is not.
    """
    holds_A = box_px * pixel_size_A / 2 - margin_A
    if reach_A > holds_A:
        margin = f" after a margin of {margin_A:.1f} Å" if margin_A else ""
        raise UserError(
            f"the molecule reaches {reach_A:.1f} Å from the centre but a box of {box_px} px at "
            f"{pixel_size_A:g} Å holds only {max(holds_A, 0.0):.1f} Å{margin}; use a larger box or pixel"
        )
