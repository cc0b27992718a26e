"""Tell the states of an assembly from the occupancy of its segments in many maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from cryoarena.errors import UserError


@dataclass(frozen=True)
class AssemblyStates:
    """K states of an assembly of S segments, the lightest first.

    Attributes:
        present: (K, S) which segments a state has.
        maps: (K,) number of maps that show it.
    """

    present: NDArray[np.bool_]
    maps: NDArray[np.int64]


def find_states(
    occupancy: NDArray[np.float64], mass_kDa: NDArray[np.float64], count: int, threshold: float
) -> AssemblyStates:
    """Group maps that show nearly the same segments.

    Two maps are as far apart as the mass of the segments that one has and the other has not (occupancy above the
    threshold); they are joined by average linkage until K groups are left. A state has the segments whose mean
    occupancy over its maps is above the threshold.

    Args:
        occupancy: (M, S) of every segment in every map.
        mass_kDa: (S,) of the segments.
        count: K.
        threshold: of the occupancy.

    Raises:
        UserError: when the maps do not show K different states, or one without any segment.
    """
    shown = occupancy > threshold
    different_kDa = [(shown[i] != shown[j]) @ mass_kDa for i, j in zip(*np.triu_indices(len(shown), 1), strict=True)]
    group = fcluster(linkage(np.array(different_kDa), "average"), count, "maxclust")
    present = np.stack([occupancy[group == number].mean(axis=0) > threshold for number in np.unique(group)])
    found = len(np.unique(present, axis=0))
    if found < count:
        raise UserError(
            f"the {len(occupancy)} maps show no more than {found} different states at a minimal occupancy of "
            f"{threshold:g}, not {count}; ask for fewer conformations or change min_occupancy"
        )
    if not present.any(axis=1).all():
        raise UserError(f"a state has no segment at a minimal occupancy of {threshold:g}; choose a lower one")
    order = np.argsort(present @ mass_kDa, kind="stable")
    return AssemblyStates(present[order], np.bincount(group)[1:][order])
