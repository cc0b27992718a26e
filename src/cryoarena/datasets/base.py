"""The contract of a dataset: a card, presets, and a recipe that builds its conformations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.rigid_bodies import RigidBodies
from cryoarena.datasets.sessions import Sessions
from cryoarena.imaging.specimen import Specimen
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
    """What a dataset is.

    Attributes:
        name: as on the command line.
        title: as in figures.
        kind: of heterogeneity; "continuous" or "discrete" is part of it.
        summary: one sentence.
        citation: paper and models.
        licence: of models and recipe.
        sources: the files that it is made from.
        cvs: coordinates of its heterogeneity.
        notes: what a user must know.
        stand_ins: files that the `small` preset is made from where not all sources are on this machine.
    """

    name: str
    title: str
    kind: str
    summary: str
    citation: str
    licence: str
    sources: tuple[SourceFile, ...]
    cvs: tuple[CollectiveVariable, ...]
    notes: tuple[str, ...] = ()
    stand_ins: tuple[SourceFile, ...] = ()

    @property
    def is_continuous(self) -> bool:
        """Tell whether the heterogeneity is a continuum; otherwise it is a set of states."""
        return "continuous" in self.kind


@dataclass(frozen=True)
class Sources:
    """Where the files of a recipe are on this machine.

    Attributes:
        files: path of every source file of the card, or of every stand-in, by its name.
        are_stand_ins: whether they are the stand-ins.
        models: files that the user gives instead; empty when not.
        counts: particles of each of those models; empty where not given.
        topology, trajectory: that the user gives instead, or None.
    """

    files: dict[str, Path] = field(default_factory=dict)
    are_stand_ins: bool = False
    models: tuple[Path, ...] = ()
    counts: tuple[int, ...] = ()
    topology: Path | None = None
    trajectory: Path | None = None

    def all_files(self) -> dict[str, Path]:
        """Return every file by a name for the record."""
        given = {f"model {number}": path for number, path in enumerate(self.models)}
        system = {"topology": self.topology, "trajectory": self.trajectory}
        return {**self.files, **given, **{name: path for name, path in system.items() if path is not None}}

    def absolute(self) -> "Sources":
        """Return the same with paths that hold in any working folder."""
        return replace(
            self,
            files={name: path.absolute() for name, path in self.files.items()},
            models=tuple(path.absolute() for path in self.models),
            topology=self.topology and self.topology.absolute(),
            trajectory=self.trajectory and self.trajectory.absolute(),
        )


@dataclass(frozen=True)
class NoOptions:
    """There are none."""


@dataclass(frozen=True)
class Settings:
    """Every number that fixes a dataset, apart from its source files.

    Attributes:
        preset: name of the preset the numbers come from.
        images: N.
        conformations: K; 0 in a preset means one for every image.
        box_px: final box D; the field of view is that of the source box.
        source_box_px, source_pixel_size_A: D₀ and its pixel: what the SNR and the shifts refer to.
        snr: signal variance over the whole source box and dataset, over noise variance there.
        max_shift_px: shifts are uniform in ± this many source pixels along x and y.
        resolution_A: of the density (ChimeraX molmap definition).
        voltage_kV, cs_mm, amplitude_contrast: of the microscope.
        contrast_sign: +1 bright protein (default everywhere), -1 dark.
        seed: of every random draw.
        realism: dials, all off by default.
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
    realism: Realism = field(default_factory=Realism)

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
        mapped: conformations whose true map is written and that maps are judged at; all when None. For an ensemble
            of more conformations than maps fit on a disk; they should be spread over it.
        energy: free energy that the population follows, or None.
        state: (K,) state 0 … S - 1 that each conformation belongs to, where states are asked for and the rest of the
            heterogeneity is a nuisance; every conformation is a state of its own when None.
        sessions: in which conformations were recorded where that was not in one, else None.
        variables: what the `cvs` are where the user names them; the card's when None.
    """

    specimen: Specimen
    cvs: dict[str, NDArray[np.float64]]
    population: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    rigid_bodies: RigidBodies | None = None
    mapped: NDArray[np.int64] | None = None
    energy: EnergySurface | None = None
    state: NDArray[np.int64] | None = None
    sessions: Sessions | None = None
    variables: tuple[CollectiveVariable, ...] | None = None


OptionsT = TypeVar("OptionsT")


class Dataset(ABC, Generic[OptionsT]):
    """One benchmark dataset; subclasses are final.

    Attributes:
        card: what it is.
        presets: numbers by name; `paper` as published, `small` the same physics in minutes.
        options: frozen dataclass of what is particular to this recipe, with defaults (`--set key=value`).
        takes: what the user may give instead of the card's sources: "structure", "models", "trajectory".
    """

    card: ClassVar[DatasetCard]
    presets: ClassVar[dict[str, Settings]]
    options: type[OptionsT]
    takes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def build(self, settings: Settings, sources: Sources, options: OptionsT) -> Ensemble:
        """Build the conformations.

        Args:
            settings: resolved numbers.
            sources: where the files are.
            options: of this recipe.
        """


datasets: Registry[Dataset[Any]] = Registry("dataset", "cryoarena.datasets")


def dataset(cls: type[Dataset[Any]]) -> type[Dataset[Any]]:
    """Register the decorated dataset class."""
    datasets.register(cls())
    return cls
