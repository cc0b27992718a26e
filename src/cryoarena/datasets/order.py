"""An order: all that a user says about a dataset to make, on the command line or in a suite."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from cryoarena.datasets.base import Settings, datasets
from cryoarena.datasets.defocus_table import read_defocus_table
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.model_list import read_models
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import Given, locate_all, require_taken
from cryoarena.options import parse_options


@dataclass(frozen=True)
class Order:
    """What is wanted of a recipe; None leaves a number as the preset has it.

    Attributes:
        name: of the dataset.
        preset: whose numbers are taken.
        images, box_px, conformations, snr: in place of the preset's.
        seed: of every random draw.
        options: of the recipe, as key=value.
        realism: dials, as key=value.
        given: files in place of the card's.
        ctf: table of real defoci.
    """

    name: str
    preset: str = "small"
    images: int | None = None
    box_px: int | None = None
    conformations: int | None = None
    snr: float | None = None
    seed: int = 0
    options: dict[str, str] = field(default_factory=dict)
    realism: dict[str, str] = field(default_factory=dict)
    given: Given = field(default_factory=Given)
    ctf: Path | None = None

    def settings(self) -> Settings:
        """Return the checked numbers; nothing is downloaded for that.

        Raises:
            UserError: for a wrong name, option or number.
        """
        dataset = datasets.get(self.name)
        parse_options(dataset.options, self.options)
        dials = parse_options(Realism, self.realism)
        settings = resolve_settings(
            dataset, self.preset, self.images, self.box_px, self.snr, self.seed, self.conformations, dials
        )
        require_taken(dataset, self.given)
        if self.given.models is None or self.conformations is not None:
            return settings
        return replace(settings, conformations=len(read_models(self.given.models)[0]))

    def make(self, out: Path, processes: int = 1, overwrite: bool = False) -> Settings:
        """Make the dataset folder and return its numbers; interrupted, the same order goes on.

        Raises:
            UserError: for whatever is wrong with the order, its files or the folder.
        """
        dataset, settings = datasets.get(self.name), self.settings()
        table = None if self.ctf is None else read_defocus_table(self.ctf)
        sources = locate_all(dataset, self.preset, self.given)
        make_dataset(dataset, settings, sources, out, table, overwrite, processes, self.options)
        return settings
