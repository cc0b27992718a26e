"""Ribosembly: the assembly of a ribosome's large subunit, piece by piece."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cryoarena.datasets.base import Dataset, DatasetCard, Ensemble, Settings, SourceFile, Sources, dataset
from cryoarena.datasets.mixture import SIZE_RANK, choose_models, mixture
from cryoarena.structures.assembly_states import find_states
from cryoarena.structures.atoms import Atoms, centred, joined, read_atoms
from cryoarena.structures.common_chain import backbone, superpose_by_chain
from cryoarena.structures.mass import mass_kDa
from cryoarena.structures.occupancy import segment_occupancy
from cryoarena.volumes.mrc import read_volume

# Jeon et al. 2024, A.4
_PARTICLES = {
    "8c9c": 9076,
    "8c9b": 14378,
    "8c9a": 23547,
    "8c99": 44366,
    "8c98": 30647,
    "8c97": 38500,
    "8c96": 3915,
    "8c95": 3980,
    "8c94": 12740,
    "8c93": 11975,
    "8c92": 17988,
    "8c91": 5001,
    "8c90": 35367,
    "8c8z": 37448,
    "8c8y": 40540,
    "8c8x": 5772,
}
_MAVEN = "https://raw.githubusercontent.com/lkinman/MAVEn/9ba15393b933d832d106b20295917b50742f8c16"
_SEGMENTS = tuple(
    SourceFile(f"{part}.pdb", f"{_MAVEN}/protocol_examples/{part}.pdb", None, "a 50S model cut into 136 segments")
    for part in ("RNA1", "RNA2", "RNA3", "RNA4", "RNA_5S", "prots1", "prots2")
)
_MAP_NUMBERS = (18, 113, 115, 116, 194, 287, 288, 291, 293, 306, 383, 385, 386, 388, 390, 442, 455, 457, 458, 498)
_MAPS = tuple(
    SourceFile(
        f"vol_{number:03d}.mrc",
        f"{_MAVEN}/example_data/00_aligned/vol_{number:03d}.mrc",
        None,
        "20 maps of 50S assembly intermediates in its frame (examples of MAVEn)",
    )
    for number in _MAP_NUMBERS
)
_PAPER = Settings(
    preset="paper",
    images=sum(_PARTICLES.values()),
    conformations=len(_PARTICLES),
    box_px=128,
    source_box_px=256,
    source_pixel_size_A=1.5,
    snr=0.01,
    max_shift_px=20.0,
    resolution_A=3.0,
)


@dataclass(frozen=True)
class RibosemblyOptions:
    """How models are brought together.

    chain: by which models are superposed on the last; the nucleic acid with the most residues when empty.
    min_occupancy: of a segment in a map, above which the state has it (only for the stand-ins).
    """

    chain: str = ""
    min_occupancy: float = 0.5


@dataset
class Ribosembly(Dataset[RibosemblyOptions]):
    """Sixteen states of the assembling 50S subunit, in unequal numbers (Jeon et al. 2024, §3.2 and A.4)."""

    card = DatasetCard(
        name="ribosembly",
        title="Ribosembly",
        kind="compositional, discrete",
        summary="States of an assembling ribosomal subunit: a common core that RNA helices and proteins join.",
        citation="Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks; models: Qin et al., Nat. Commun. 2023, "
        "14:898; stand-ins: MAVEn (github.com/lkinman/MAVEn)",
        licence="PDB entries: CC0 1.0; example files of MAVEn: GPL-3.0, read and not distributed; recipe: BSD-3-Clause",
        sources=tuple(
            SourceFile(
                f"{name}.cif", f"https://files.rcsb.org/download/{name.upper()}.cif.gz", None, f"PDB {name.upper()}"
            )
            for name in _PARTICLES
        ),
        cvs=(SIZE_RANK,),
        notes=(
            "The preset paper takes the sixteen models and their numbers of particles from the paper.",
            "Defocus is drawn from a parametric distribution unless --ctf names a table; the published set used "
            "EMPIAR-10076.",
            "Images are bright (protein positive) and have unit noise variance; the published stacks are dark.",
        ),
        stand_ins=(*_SEGMENTS, *_MAPS),
    )
    options = RibosemblyOptions
    takes = frozenset({"models"})
    presets: ClassVar[dict[str, Settings]] = {
        "paper": _PAPER,
        "small": Settings(**{**vars(_PAPER), "preset": "small", "images": 5_000, "conformations": 10, "box_px": 64}),
    }

    def build(self, settings: Settings, sources: Sources, options: RibosemblyOptions) -> Ensemble:
        """Superpose the models on the last, or build states from a complete one and maps of intermediates."""
        if sources.are_stand_ins:
            return _states_of_maps(settings, sources, options.min_occupancy)
        if sources.models:
            given, counts = sources.models, sources.counts
        else:
            given, counts = tuple(sources.files[s.name] for s in self.card.sources), tuple(_PARTICLES.values())
        paths, population = choose_models(given, counts, settings.conformations)
        last = centred(read_atoms(paths[-1]))
        target = backbone(last, options.chain, str(paths[-1]))
        models, rmsd_A = [], []
        for path in paths[:-1]:
            atoms = read_atoms(path)
            moved, rmsd = superpose_by_chain(atoms, backbone(atoms, options.chain, str(path)), target)
            models.append(moved)
            rmsd_A.append(rmsd)
        note = (
            f"Models lie on {paths[-1].name} by the residues of one chain, RMSD at most {max(rmsd_A, default=0):.1f} Å."
        )
        return mixture([*models, last], population, settings.resolution_A, (note,))


def _states_of_maps(settings: Settings, sources: Sources, min_occupancy: float) -> Ensemble:
    segments = [part for source in _SEGMENTS for part in _cut_at_chains(read_atoms(sources.files[source.name]))]
    mass = np.array([mass_kDa(part) for part in segments])
    read = [read_volume(sources.files[source.name]) for source in _MAPS]
    maps = np.stack([volume for volume, _ in read])
    occupancy = segment_occupancy(segments, maps, read[0][1])
    states = find_states(occupancy, mass, settings.conformations, min_occupancy)
    models = [joined([part for part, here in zip(segments, row, strict=True) if here]) for row in states.present]
    # One frame for all: the centre of the most complete state.
    whole = models[-1]
    move_A = centred(whole).position_A[0] - whole.position_A[0]
    models = [atoms.with_positions(atoms.position_A + move_A) for atoms in models]
    listed = ", ".join(f"{kDa:.0f} ({count})" for kDa, count in zip(states.present @ mass, states.maps, strict=True))
    note = (
        f"Mass of the states in kDa, in brackets how many of the {len(maps)} maps show each (its population): "
        f"{listed}. A state has the segments whose mean occupancy in its maps is above {min_occupancy:g}."
    )
    return mixture(models, states.maps / states.maps.sum(), settings.resolution_A, (note,))


def _cut_at_chains(atoms: Atoms) -> list[Atoms]:
    return [atoms[atoms.chain == name] for name in dict.fromkeys(atoms.chain.tolist())]
