from dataclasses import replace
from typing import ClassVar

from cryoarena.datasets.base import Dataset, dataset
from cryoarena.datasets.igg_pseudo import IggPseudo


@dataset
class IggPseudoFainter(Dataset[IggPseudo.options]):
    card = replace(
        IggPseudo.card,
        name="igg-pseudo-fainter",
        title="IgG-pseudo, fainter",
        summary="The pseudo-antibody at a quarter of the SNR.",
    )
    options = IggPseudo.options
    presets: ClassVar = {name: replace(settings, snr=settings.snr / 4) for name, settings in IggPseudo.presets.items()}

    def build(self, settings, sources, options):
        return IggPseudo().build(settings, sources, options)
