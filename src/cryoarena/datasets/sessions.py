"""Sessions: states that were recorded apart were not recorded alike."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.defocus import DefocusTable
from cryoarena.imaging.imperfections import Imperfections, perfect


@dataclass(frozen=True)
class Sessions:
    """What tells one session of a microscope from another, for S sessions.

    Attributes:
        session: (K,) in which every conformation was recorded, 0 … S - 1.
        defocus_A: (S,) added to the defocus.
        ice_nm: (S,) added to the thickness of the ice, which attenuates the signal and not the noise.
        grey_scale: (S,) factor of all grey values, of signal and noise.
    """

    session: NDArray[np.int64]
    defocus_A: NDArray[np.float64]
    ice_nm: NDArray[np.float64]
    grey_scale: NDArray[np.float64]

    def record(
        self, conformation: NDArray[np.int64], ctf: CtfParameters, imperfections: Imperfections | None
    ) -> tuple[CtfParameters, Imperfections, dict[str, NDArray[Any]]]:
        """Return CTF and imperfections of N particles as their sessions change them.

        Args:
            conformation: (N,) of each.
            ctf: as drawn for all sessions alike.
            imperfections: as drawn for all sessions alike, or None.

        Returns:
            Both, and what truth/particles.parquet tells of the sessions: columns (N,) by name.
        """
        session = self.session[conformation]
        imperfections = imperfections or perfect(len(conformation))
        offset_A = self.defocus_A[session]
        defocus = DefocusTable(ctf.defocus_u_A + offset_A, ctf.defocus_v_A + offset_A, ctf.defocus_azimuth_deg)
        ice_nm = imperfections.ice_nm + self.ice_nm[session]
        grey_scale = imperfections.grey_scale * self.grey_scale[session]
        return (
            ctf.with_defocus(defocus),
            replace(imperfections, ice_nm=ice_nm, grey_scale=grey_scale),
            {"session": session, "ice_nm": ice_nm, "grey_scale": grey_scale},
        )


def unlike_sessions(
    session: NDArray[np.int64], defocus_A: float, ice_nm: tuple[float, float], grey_scale: float, seed: int
) -> Sessions:
    """Return sessions that differ by amounts which say nothing of their order.

    Each amount is spread evenly over its range and dealt to the sessions at random, each on its own.

    Args:
        session: (K,) of every conformation.
        defocus_A: offsets lie within ± this.
        ice_nm: thinnest and thickest.
        grey_scale: factors lie between one over this and this.
        seed: of the dealing.
    """
    count = int(session.max()) + 1
    rng = np.random.default_rng(seed)

    def dealt(low: float, high: float) -> NDArray[np.float64]:
        return rng.permutation(np.linspace(low, high, count))

    log_scale = float(np.log(grey_scale))
    return Sessions(session, dealt(-defocus_A, defocus_A), dealt(*ice_nm), np.exp(dealt(-log_scale, log_scale)))
