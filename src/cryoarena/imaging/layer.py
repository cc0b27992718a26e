"""What images show besides the particles that they are of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.simulate import Particles, signal_spectra
from cryoarena.imaging.specimen import Specimen
from cryoarena.imaging.spectrum import to_images


@dataclass(frozen=True)
class Layer:
    """M objects that may reach over the edge of their images.

    Attributes:
        specimen: of which they are conformations.
        row: (M,) ascending, the image that each is in.
        particles: what they are and where they lie.
    """

    specimen: Specimen
    row: NDArray[np.int64]
    particles: Particles

    def within(self, rows: slice) -> "Layer":
        """Return what is in some of the images; `row` counts from the first of these."""
        start, stop = np.searchsorted(self.row, [rows.start, rows.stop])
        return Layer(self.specimen, self.row[start:stop] - rows.start, self.particles[slice(start, stop)])

    def add_to(self, images: NDArray[np.float32], pixel_size_A: float, amplitude: float, contrast_sign: int) -> None:
        """Add the objects, as the microscope shows them, to noise-free images (n, D, D)."""
        if len(self.row):
            # In a box of twice the size, so that what leaves an image does not come back on its other side.
            box_px = images.shape[-1]
            spectra = signal_spectra(self.specimen, self.particles, 2 * box_px, pixel_size_A, contrast_sign)
            window = slice(box_px // 2, box_px // 2 + box_px)
            np.add.at(images, self.row, np.float32(amplitude) * to_images(spectra)[:, window, window])
