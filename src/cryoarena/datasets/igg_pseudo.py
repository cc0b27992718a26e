"""IgG-pseudo: IgG-1D with an antibody built by code, for tests and the quick suite; needs no file at all."""

from typing import ClassVar

import numpy as np

from cryoarena.datasets.base import (
    CollectiveVariable,
    Dataset,
    DatasetCard,
    Ensemble,
    NoOptions,
    Settings,
    Sources,
    dataset,
)
from cryoarena.datasets.rigid_bodies import superpose_bodies
from cryoarena.imaging.specimen import Conformations
from cryoarena.structures.density import molmap_model
from cryoarena.structures.dihedral import rotate_about_bond
from cryoarena.structures.pseudo_antibody import build_pseudo_antibody


@dataset
class IggPseudo(Dataset[NoOptions]):
    """An antibody of pseudo-atoms, one Fab turning a full circle about its hinge."""

    card = DatasetCard(
        name="igg-pseudo",
        title="IgG-pseudo",
        kind="conformational, continuous, one dimension, circular",
        summary="A code-built antibody whose one Fab turns about the hinge: IgG-1D without a file.",
        citation="domain geometry: Padlan 1994, doi:10.1016/0161-5890(94)90001-9; Saphire et al. 2001",
        licence="BSD-3-Clause",
        sources=(),
        cvs=(CollectiveVariable("hinge_angle", "deg", 360.0, "rotation of the Fab about its hinge"),),
    )
    options = NoOptions
    presets: ClassVar[dict[str, Settings]] = {
        "small": Settings(
            preset="small",
            images=2_000,
            conformations=20,
            box_px=48,
            source_box_px=192,
            source_pixel_size_A=2.0,
            snr=0.02,
            max_shift_px=10.0,
            resolution_A=8.0,
        )
    }

    def build(self, settings: Settings, sources: Sources, options: NoOptions) -> Ensemble:
        """Turn the Fab of the pseudo-antibody through a full circle in equal steps."""
        antibody = build_pseudo_antibody()
        angles = 360.0 * np.arange(settings.conformations) / settings.conformations
        positions = [
            rotate_about_bond(
                antibody.atoms, antibody.axis_from, antibody.axis_to, antibody.moving, float(angle)
            ).position_A
            for angle in angles
        ]
        position_A = np.stack(positions).astype(np.float32)
        return Ensemble(
            specimen=Conformations(position_A, molmap_model(antibody.atoms, settings.resolution_A)),
            cvs={"hinge_angle": angles},
            population=np.full(len(angles), 1.0 / len(angles)),
            rigid_bodies=superpose_bodies(position_A, antibody.moving.astype(np.int64)),
        )
