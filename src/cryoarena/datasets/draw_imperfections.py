"""Draw what the ice and the beam do to every particle."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.datasets.realism import Realism
from cryoarena.imaging.ice import draw_thickness_nm
from cryoarena.imaging.imperfections import Imperfections, perfect


def draw_imperfections(
    n: int, realism: Realism, streams: RandomStreams
) -> tuple[Imperfections | None, dict[str, NDArray[Any]]]:
    """Draw the imperfections of n particles.

    Returns:
        They, or None where no dial asks for any; and what truth/particles.parquet tells of them: columns (n,) by name.
    """
    imperfections, columns = perfect(n), dict[str, NDArray[Any]]()
    if realism.ice_nm > 0:
        thickness_nm = draw_thickness_nm(n, realism.ice_nm, realism.ice_spread_nm, streams.generator("ice"))
        imperfections = replace(imperfections, ice_nm=thickness_nm)
        columns["ice_nm"] = thickness_nm
    if realism.beam_tilt_mrad > 0:
        rng = streams.generator("beam tilt")
        group = rng.permutation(np.arange(n) % realism.optics_groups)
        azimuth = rng.uniform(0, 2 * np.pi, realism.optics_groups)[group]
        tilt_mrad = realism.beam_tilt_mrad * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
        imperfections = replace(imperfections, beam_tilt_mrad=tilt_mrad)
        columns |= {"optics_group": group + 1, "beam_tilt_x_mrad": tilt_mrad[:, 0], "beam_tilt_y_mrad": tilt_mrad[:, 1]}
    return (imperfections if columns else None), columns
