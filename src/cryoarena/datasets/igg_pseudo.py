"""IgG-pseudo: IgG-1D with an antibody built by code, for tests and the quick suite; needs no file at all."""

from typing import ClassVar

from cryoarena.datasets.base import (
    CollectiveVariable,
    Dataset,
    DatasetCard,
    Ensemble,
    Settings,
    Sources,
    dataset,
)
from cryoarena.datasets.turning import TurnOptions, turning_ensemble
from cryoarena.structures.pseudo_antibody import build_pseudo_antibody


@dataset
class IggPseudo(Dataset[TurnOptions]):
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
    options = TurnOptions
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

    def build(self, settings: Settings, sources: Sources, options: TurnOptions) -> Ensemble:
        """Turn the Fab of the pseudo-antibody through a full circle."""
        antibody = build_pseudo_antibody()
        axis = (antibody.axis_from, antibody.axis_to)
        return turning_ensemble(antibody.atoms, axis, antibody.moving, "hinge_angle", settings, options)
