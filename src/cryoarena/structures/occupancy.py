"""How much of each segment of an assembly is there in a map of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.atoms import Atoms
from cryoarena.structures.density import molmap_model
from cryoarena.structures.render import render_volume

_WHOLE_QUANTILE = 0.9


def segment_occupancy(segments: Sequence[Atoms], maps: NDArray[np.float32], pixel_size_A: float) -> NDArray[np.float64]:
    """Return the occupancy (M, S) of S segments in M maps: about 1 where a segment is, about 0 where it is not.

    Σ mask · map / Σ mask · reference, the measure of MAVEn (github.com/lkinman/MAVEn). Here the mask is the segment's
    own density at the resolution of the maps (2 voxels), and the reference that of all segments. The unit of a map is
    that of its 90th percentile over segments, so that a map needs no absolute scale as long as a tenth of it is whole.

    Args:
        segments: the complete assembly cut into pieces, in the frame of the maps: voxel i is at i · pixel size.
        maps: (M, D, D, D) [z, y, x].
        pixel_size_A: of the maps.
    """
    box_px = maps.shape[-1]
    # Rendering has coordinate 0 at voxel D // 2.
    middle_A = box_px // 2 * pixel_size_A
    masks = np.stack(
        [
            render_volume(
                part.position_A - middle_A, molmap_model(part, 2 * pixel_size_A), box_px, pixel_size_A
            ).ravel()
            for part in segments
        ]
    )
    ratio = maps.reshape(len(maps), -1) @ masks.T / (masks @ masks.sum(axis=0))
    return np.asarray(ratio / np.quantile(ratio, _WHOLE_QUANTILE, axis=1, keepdims=True), np.float64)
