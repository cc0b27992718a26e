"""Ribosome-wells: two rotations of a small subunit over an energy landscape of twelve wells."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import (
    CollectiveVariable,
    Dataset,
    DatasetCard,
    Ensemble,
    Settings,
    SourceFile,
    Sources,
    dataset,
)
from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.datasets.turned_body import TurnedBody, rotation
from cryoarena.errors import UserError
from cryoarena.structures.atoms import joined, read_atoms
from cryoarena.structures.density import molmap_model
from cryoarena.structures.pseudo_ribosome import build_pseudo_ribosome

_COMMIT = "9ba15393b933d832d106b20295917b50742f8c16"
_RNA_23S = ("RNA1.pdb", "RNA2.pdb", "RNA3.pdb", "RNA4.pdb")
_RNA_5S = "RNA_5S.pdb"
_PROTEINS = ("prots1.pdb", "prots2.pdb")
_SHA256 = {
    "RNA1.pdb": "7738f0c8401bd9e8c52a625d6110651eacecc22f42b2e778be030d238f5a971c",
    "RNA2.pdb": "856e9341b601fc08068ee7bed572b0216498a07f9ecc4e4a5979b94c6175aa0d",
    "RNA3.pdb": "2738a82f5d1bb2b6baaf9f68a97ee1634e7acd9d2535c9e0c8fd3f73f0d632ca",
    "RNA4.pdb": "3aa6f011a74189485a4a2e31aafab8d03119d8dd8b9645b46cf31a1578f6c4f0",
    "RNA_5S.pdb": "b3251e5e5e7d51865cc7dc7ec593cf71990fd84f5221aa84193be48d9b1ec03d",
    "prots1.pdb": "cc22ca3f4e44312b3bbea937b412c0692ad6c468a69107d8a37ee69f72c4163f",
    "prots2.pdb": "7fb63204e619f31a40936a2bbc76d83e0d62d90b6b3c3737d8c836fee8c3dba8",
}
# The ribosome is built with the small subunit along x and its head up, along y: ratchet and rolling.
_AXES = np.eye(3)[:2]
_TURNS_TRIED = 5

# Depth of the wells as parts of the deepest, in rows of equal rolling and columns of equal ratchet angle: uneven,
# with deep and shallow ones side by side.
_DEPTH = np.array([[0.60, 0.85, 0.45, 0.70], [1.00, 0.40, 0.75, 0.55], [0.50, 0.80, 0.65, 0.95]])
_WELL_SPREAD = 0.25  # standard deviation of a well, in spacings of wells
_CELLS_PER_WELL = 24

_MAPS = 100
_MOST_WITH_BODIES = 100_000

_PAPER = Settings(
    preset="paper",
    images=3_000_000,
    conformations=0,
    box_px=128,
    source_box_px=128,
    source_pixel_size_A=3.2,
    snr=1.0,
    max_shift_px=5.0,
    resolution_A=10.0,
)


@dataclass(frozen=True)
class WellsOptions:
    """Shape of the landscape.

    Attributes:
        ratchet_deg: greatest angle of the rotation in the plane of the interface, 4 wells from - to +.
        rolling_deg: greatest angle of the rotation about the long axis, 3 wells from - to +.
        depth_kT: energy of the deepest well below what is between the wells.
    """

    ratchet_deg: float = 12.0
    rolling_deg: float = 9.0
    depth_kT: float = 3.0


@dataset
class RibosomeWells(Dataset[WellsOptions]):
    """Two orthogonal rotations of a small subunit, drawn from the Boltzmann density of 3 x 4 wells.

    The task is that of Dsouza et al. 2023. Every image has a conformation of its own.
    """

    card = DatasetCard(
        name="ribosome-wells",
        title="Ribosome wells",
        kind="conformational, continuous, two dimensions",
        summary="A ribosome-like object whose small subunit turns about two axes over twelve energy wells.",
        citation=(
            "Dsouza et al. 2023, Sci. Rep. 13:1372 (the task); 50S model: MAVEn, github.com/lkinman/MAVEn; rolling: "
            "Budkevich et al. 2014, Cell 158:121"
        ),
        licence="coordinates from the PDB: CC0 1.0 (MAVEn, which holds them: GPL-3.0); recipe: BSD-3-Clause",
        sources=tuple(
            SourceFile(
                name,
                f"https://raw.githubusercontent.com/lkinman/MAVEn/{_COMMIT}/protocol_examples/{name}",
                digest,
                f"E. coli 50S ribosomal subunit, part {name.removesuffix('.pdb')}",
            )
            for name, digest in _SHA256.items()
        ),
        cvs=(
            CollectiveVariable("ratchet", "deg", None, "rotation of the small subunit in the plane of the interface"),
            CollectiveVariable("rolling", "deg", None, "rotation of the small subunit about its long axis"),
        ),
        notes=(
            "Published: a ribosome-like object, two orthogonal rotations of the small subunit, 12 wells of uneven "
            "depth on a 3 x 4 grid, 3,000,000 images, SNR 1. Ours, because the paper does not state them and its data "
            "are not public: the object, angles, depths, box, pixel, resolution, CTF and shifts.",
            "The large subunit is a real 50S with one bead per amino acid and three per nucleotide. The small one is "
            "no 30S: it is cut out of the same 50S in the shape of head and body, so that it has the texture of RNA "
            "and protein, and it is docked so that the two come to about 6 Å at all angles, and no nearer.",
            "Defocus is drawn from a parametric distribution unless --ctf names a table.",
            f"True maps are kept of {_MAPS} conformations: the nearest to each well and others at random. The motion "
            f"of the bodies is written up to {_MOST_WITH_BODIES:,} images.",
        ),
    )
    options = WellsOptions
    presets: ClassVar[dict[str, Settings]] = {
        "paper": _PAPER,
        "small": Settings(**{**vars(_PAPER), "preset": "small", "images": 5_000, "box_px": 64}),
    }

    def build(self, settings: Settings, sources: Sources, options: WellsOptions) -> Ensemble:
        """Draw two angles for every image and turn the small subunit by them."""
        surface = wells_surface(options)
        angle_deg = surface.draw(settings.images, RandomStreams(settings.seed).generator("angles"))
        specimen = _ribosome(sources, angle_deg, settings.resolution_A, options)
        return Ensemble(
            specimen=specimen,
            cvs={"ratchet": angle_deg[:, 0], "rolling": angle_deg[:, 1]},
            population=np.full(settings.images, 1 / settings.images),
            rigid_bodies=specimen.rigid_bodies() if settings.images <= _MOST_WITH_BODIES else None,
            mapped=_mapped(angle_deg, _well_centres(options)),
            energy=surface,
        )


def wells_surface(options: WellsOptions) -> EnergySurface:
    """Return the energy over (ratchet, rolling): Gaussian wells in a flat plain inside hard walls.

    Raises:
        UserError: when an option is out of range.
    """
    if not (0 < options.ratchet_deg <= 45 and 0 < options.rolling_deg <= 45):
        raise UserError("options ratchet_deg and rolling_deg must be greater than 0 and at most 45 degrees")
    if not 0 <= options.depth_kT <= 20:
        raise UserError(f"option depth_kT must be 0 to 20 kT, not {options.depth_kT}")
    spacing = _spacing_deg(options)
    axes = [
        step * (np.arange(_CELLS_PER_WELL * wells) + 0.5) / _CELLS_PER_WELL - step * wells / 2
        for step, wells in zip(spacing, _DEPTH.T.shape, strict=True)
    ]
    energy_kT = np.zeros(tuple(map(len, axes)))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    for centre, depth in zip(_well_centres(options), _DEPTH.T.ravel(), strict=True):
        distance = (grid - centre) / (_WELL_SPREAD * spacing)
        energy_kT -= options.depth_kT * depth * np.exp(-np.square(distance).sum(axis=-1) / 2)
    return EnergySurface(("ratchet", "rolling"), (axes[0], axes[1]), energy_kT - energy_kT.min())


def _spacing_deg(options: WellsOptions) -> NDArray[np.float64]:
    return 2 * np.array([options.ratchet_deg, options.rolling_deg]) / _DEPTH.T.shape


def _well_centres(options: WellsOptions) -> NDArray[np.float64]:
    """Return the centres (12, 2) of the wells in degrees, rolling changing fastest."""
    wells = np.array(_DEPTH.T.shape)
    return np.asarray((np.indices(_DEPTH.T.shape).reshape(2, -1).T + 0.5 - wells / 2) * _spacing_deg(options))


def _mapped(angle_deg: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the conformations nearest to the wells, and others as they come: they are drawn by population."""
    nearest = np.unique([np.square(angle_deg - centre).sum(axis=1).argmin() for centre in centres])
    others = np.setdiff1d(np.arange(min(len(angle_deg), _MAPS)), nearest)
    return np.sort(np.concatenate([nearest, others[: _MAPS - len(nearest)]]))


def _ribosome(
    sources: Sources, angle_deg: NDArray[np.float64], resolution_A: float, options: WellsOptions
) -> TurnedBody:
    """Dock the small subunit so that it can turn by all angles."""
    parts = {name: read_atoms(sources.files[name]) for name in _SHA256}
    rna_23s = joined([parts[name] for name in _RNA_23S])
    proteins = joined([parts[name] for name in _PROTEINS])
    limits = np.linspace(-1, 1, _TURNS_TRIED)
    ratchet, rolling = np.meshgrid(options.ratchet_deg * limits, options.rolling_deg * limits)
    turns = rotation(_AXES, np.stack([ratchet.ravel(), rolling.ravel()], axis=1))
    ribosome = build_pseudo_ribosome(rna_23s, parts[_RNA_5S], proteins, turns)
    return TurnedBody(
        ribosome.large.position_A.astype(np.float32),
        ribosome.small.position_A.astype(np.float32),
        ribosome.centre_A,
        _AXES,
        angle_deg,
        molmap_model(joined([ribosome.large, ribosome.small]), resolution_A),
    )
