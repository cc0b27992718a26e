"""One part of a molecule that turns a full circle about a bond."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import Ensemble, Settings
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.datasets.rigid_bodies import superpose_bodies
from cryoarena.imaging.moving_bodies import MovingBodies
from cryoarena.imaging.specimen import Conformations, Specimen
from cryoarena.structures.atoms import Atoms
from cryoarena.structures.density import molmap_model
from cryoarena.structures.dihedral import rotate_about_bond


@dataclass(frozen=True)
class TurnOptions:
    """Options of a dataset in which a part turns.

    Attributes:
        per_image: every image has an angle of its own, drawn at random, instead of one of equal steps; true maps are
            then kept of as many conformations as there would be steps.
    """

    per_image: bool = False


def turning_ensemble(
    atoms: Atoms,
    axis: tuple[int, int],
    moving: NDArray[np.bool_],
    cv_name: str,
    settings: Settings,
    options: TurnOptions,
) -> Ensemble:
    """Turn a part of a molecule through a full circle in `settings.conformations` steps, or by its own angle per image.

    Args:
        atoms: n atoms.
        axis: ends of the bond.
        moving: (n,) mask of the part, which holds one of the ends.
        cv_name: what the angle is called.
        settings, options: of the dataset.
    """
    body, model = moving.astype(np.int64), molmap_model(atoms, settings.resolution_A)
    steps = settings.images if options.per_image else settings.conformations
    if options.per_image:
        # Ascending, so that conformations spread over their numbers spread over the circle.
        angles = np.sort(RandomStreams(settings.seed).generator("angle").uniform(0, 360, steps))
    else:
        angles = 360.0 * np.arange(steps) / steps
    turned = (rotate_about_bond(atoms, *axis, moving, float(angle)).position_A.astype(np.float32) for angle in angles)
    specimen: Specimen
    if options.per_image:
        rigid = superpose_bodies(turned, body)
        rest_A = rotate_about_bond(atoms, *axis, moving, float(angles[0])).position_A
        specimen = MovingBodies(rest_A, body, rigid.motion.rotation, rigid.motion.translation_A, model)
    else:
        specimen = Conformations(np.stack(list(turned)), model)
        rigid = superpose_bodies(specimen.positions_A, body)
    kept = min(settings.conformations, steps)
    return Ensemble(
        specimen=specimen,
        cvs={cv_name: angles},
        population=np.full(steps, 1.0 / steps),
        rigid_bodies=rigid,
        mapped=np.arange(kept) * steps // kept if options.per_image else None,
    )
