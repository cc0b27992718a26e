"""The contract of a dataset: a card, presets, and a recipe that builds its conformations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.rigid_bodies import RigidBodies
from cryoarena.imaging.simulate import Specimen
from cryoarena.registry import Registry


@dataclass(frozen=True)
class SourceFile:
    """A file that a recipe starts from.

    Attributes:
        name: looked up under this name (also with .gz) in the mirror folders and in the cache.
        url: where it is downloaded from otherwise.
        sha256: of the download, or None where the archive may revise the file.
        description: one phrase.
    """

    name: str
    url: str
    sha256: str | None
    description: str


@dataclass(frozen=True)
class CollectiveVariable:
    """A coordinate of the heterogeneity; `period` is None unless it is an angle."""

    name: str
    unit: str
    period: float | None
    description: str


@dataclass(frozen=True)
class DatasetCard:
    """What a dataset is."""

    name: str
    title: str
    kind: str
    summary: str
    citation: str
    licence: str
    sources: tuple[SourceFile, ...]
    cvs: tuple[CollectiveVariable, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Every number that fixes a dataset, apart from its source files.

    Attributes:
        preset: name of the preset the numbers come from.
        images: N.
        conformations: K.
        box_px: final box D; the field of view is that of the source box.
        source_box_px, source_pixel_size_A: D₀ and its pixel: what the SNR and the shifts refer to.
        snr: signal variance over the whole source box and dataset, over noise variance there.
        max_shift_px: shifts are uniform in ± this many source pixels along x and y.
        resolution_A: of the density (ChimeraX molmap definition).
        voltage_kV, cs_mm, amplitude_contrast: of the microscope.
        contrast_sign: +1 bright protein (default everywhere), -1 dark.
        seed: of every random draw.
    """

    preset: str
    images: int
    conformations: int
    box_px: int
    source_box_px: int
    source_pixel_size_A: float
    snr: float
    max_shift_px: float
    resolution_A: float
    voltage_kV: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.1
    contrast_sign: int = 1
    seed: int = 0

    @property
    def pixel_size_A(self) -> float:
        """Return the pixel size of the final images (Å)."""
        return self.source_box_px * self.source_pixel_size_A / self.box_px


@dataclass(frozen=True)
class Ensemble:
    """What a recipe builds.

    Attributes:
        specimen: K conformations.
        cvs: name -> (K,) value of each collective variable.
        population: (K,) share of each conformation; sums to 1.
        notes: sentences for the card and the report, e.g. clashes.
        rigid_bodies: where all heterogeneity is the motion of rigid bodies, else None.
    """

    specimen: Specimen
    cvs: dict[str, NDArray[np.float64]]
    population: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    rigid_bodies: RigidBodies | None = None


class Dataset(ABC):
    """One benchmark dataset; subclasses are final."""

    card: ClassVar[DatasetCard]
    presets: ClassVar[dict[str, Settings]]

    @abstractmethod
    def build(self, settings: Settings, sources: dict[str, Path]) -> Ensemble:
        """Build the conformations.

        Args:
            settings: resolved numbers.
            sources: path of each source file of the card, by its name.
        """


datasets: Registry[Dataset] = Registry("dataset", "cryoarena.datasets")


def dataset(cls: type[Dataset]) -> type[Dataset]:
    """Register the decorated dataset class."""
    datasets.register(cls())
    return cls
