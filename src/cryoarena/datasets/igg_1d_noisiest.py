"""IgG-1D-noisiest: IgG-1D with ten times the noise variance."""

from dataclasses import replace
from typing import ClassVar

from cryoarena.datasets.base import Dataset, Ensemble, Settings, Sources, dataset
from cryoarena.datasets.igg_1d import Igg1d
from cryoarena.datasets.turning import TurnOptions


@dataset
class Igg1dNoisiest(Dataset[TurnOptions]):
    """The projections of IgG-1D at an SNR of 0.001 (Jeon et al. 2024, A.1): equal seeds give equal poses and CTFs."""

    card = replace(
        Igg1d.card,
        name="igg-1d-noisiest",
        title="IgG-1D-noisiest",
        summary="The projections of IgG-1D with ten times the noise variance.",
    )
    options = TurnOptions
    takes = Igg1d.takes
    presets: ClassVar[dict[str, Settings]] = {
        name: replace(settings, snr=0.001) for name, settings in Igg1d.presets.items()
    }

    def build(self, settings: Settings, sources: Sources, options: TurnOptions) -> Ensemble:
        """Build the conformations of IgG-1D."""
        return Igg1d().build(settings, sources, options)
