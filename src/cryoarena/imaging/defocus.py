"""Where defocus values come from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DefocusTable:
    """Defocus of M real or drawn particles: U, V (Å) and azimuth of U (deg), each (M,)."""

    defocus_u_A: NDArray[np.float64]
    defocus_v_A: NDArray[np.float64]
    azimuth_deg: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.defocus_u_A)

    def __getitem__(self, index: NDArray[np.int64]) -> "DefocusTable":
        """Return some of the rows."""
        return DefocusTable(self.defocus_u_A[index], self.defocus_v_A[index], self.azimuth_deg[index])


def parametric_defocus(n: int, rng: np.random.Generator) -> DefocusTable:
    """Draw n defoci of a typical 300 kV session.

    Mean defocus: normal, 1.8 ± 0.6 µm, cut to 0.7 … 3.5 µm (the range of EMPIAR-10028 is 0.8 … 3.9 µm);
    astigmatism |U - V|: Rayleigh with scale 150 Å; azimuth: uniform.
    """
    # Half a second to import, which commands that draw nothing need not spend.
    from scipy.stats import truncnorm

    mean, spread, lowest, highest = 18_000.0, 6_000.0, 7_000.0, 35_000.0
    defocus = truncnorm.rvs(
        (lowest - mean) / spread, (highest - mean) / spread, loc=mean, scale=spread, size=n, random_state=rng
    )
    astigmatism = rng.rayleigh(150.0, size=n)
    return DefocusTable(defocus + astigmatism / 2, defocus - astigmatism / 2, rng.uniform(-90, 90, size=n))


def draw_defocus(table: DefocusTable, n: int, rng: np.random.Generator) -> DefocusTable:
    """Draw n rows of a table, without replacement while it has enough rows."""
    rows = rng.permutation(len(table))[:n] if n <= len(table) else rng.integers(len(table), size=n)
    return table[rows]
