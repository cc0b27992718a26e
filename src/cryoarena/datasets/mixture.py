"""Mixtures: a set of models, each of them a state with a population."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cryoarena.datasets.base import CollectiveVariable, Ensemble
from cryoarena.errors import UserError
from cryoarena.imaging.specimen import Complexes
from cryoarena.structures.atoms import Atoms
from cryoarena.structures.density import molmap_model
from cryoarena.structures.mass import mass_kDa

SIZE_RANK = CollectiveVariable("size_rank", "", None, "rank of the model's mass among all, from 1")


def choose_models(
    models: Sequence[Path], counts: Sequence[int], wanted: int
) -> tuple[tuple[Path, ...], NDArray[np.float64]]:
    """Take some of the models, evenly spread over their list, and their shares of the particles.

    Args:
        models: files.
        counts: particles of each; empty for equal shares.
        wanted: how many to take.

    Returns:
        The models taken and their population, which sums to 1.

    Raises:
        UserError: when the counts do not match the models, or there are fewer models than wanted.
    """
    if counts and len(counts) != len(models):
        raise UserError(f"there are {len(counts)} numbers of particles for {len(models)} models; give one for each")
    if wanted > len(models):
        raise UserError(f"{wanted} conformations need as many models, but there are {len(models)}; ask for fewer")
    taken = np.round(np.linspace(0, len(models) - 1, wanted)).astype(int)
    share = np.array(counts or [1] * len(models), np.float64)[taken]
    return tuple(models[number] for number in taken), share / share.sum()


def mixture(
    models: Sequence[Atoms], population: NDArray[np.float64], resolution_A: float, notes: tuple[str, ...]
) -> Ensemble:
    """Return the ensemble of K models as they lie, with the rank of their mass as its collective variable.

    Args:
        models: K.
        population: (K,) shares.
        resolution_A: of their density.
        notes: for the card.
    """
    return Ensemble(
        specimen=Complexes(
            tuple(atoms.position_A.astype(np.float32) for atoms in models),
            tuple(molmap_model(atoms, resolution_A) for atoms in models),
        ),
        cvs={SIZE_RANK.name: rankdata([mass_kDa(atoms) for atoms in models])},
        population=population,
        notes=notes,
    )
