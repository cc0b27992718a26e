"""How often each frame of a simulation is imaged, and which frames stand for all."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.errors import UserError


def boltzmann_shares(
    surface: EnergySurface, cvs: Mapping[str, NDArray[np.float64]], periods: Mapping[str, float | None]
) -> NDArray[np.float64]:
    """Return the share (F,) of every frame, so that frames follow the Boltzmann distribution of a free energy.

    A cell of the surface has probability exp(-E/kT) / Σ exp(-E/kT), which the frames in it have in equal parts,
    however often the simulation came there: shares undo the bias of enhanced sampling. Frames outside the surface get
    nothing, and the probability of cells without frames goes to the others in proportion.

    Args:
        surface: over some of the collective variables.
        cvs: name -> (F,).
        periods: name -> period of an angle, or None.

    Raises:
        UserError: when the surface is over another variable, or no frame lies where its probability is above 0.
    """
    shape = surface.energy_kT.shape
    cell = np.zeros(len(next(iter(cvs.values()))), np.int64)
    inside = np.ones(len(cell), bool)
    for name, axis, cells in zip(surface.cv_names, surface.axes, shape, strict=True):
        if name not in cvs:
            raise UserError(f"the energy surface is over {name}; the collective variables are {', '.join(cvs)}")
        width = axis[1] - axis[0]
        from_edge = cvs[name] - (axis[0] - width / 2)
        period = periods[name]
        along = np.floor((from_edge if period is None else from_edge % period) / width).astype(np.int64)
        inside &= (along >= 0) & (along < cells)
        cell = cell * cells + along
    cell = np.where(inside, cell, 0)
    frames_in_cell = np.bincount(cell[inside], minlength=surface.energy_kT.size)
    share = np.where(inside, surface.probability().ravel()[cell] / np.maximum(frames_in_cell[cell], 1), 0.0)
    if not share.sum() > 0:
        raise UserError(
            f"no frame lies where the energy surface allows one; are its axes in the units of {', '.join(cvs)}?"
        )
    return np.asarray(share / share.sum())


def choose_frames(
    share: NDArray[np.float64], at_most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose at most so many different frames; return them (K,) ascending and their populations (K,).

    All frames of a share, if there are so few; else those that `at_most` draws by share meet, systematically: a frame
    is drawn as often as its share asks, to less than one draw.
    """
    frame = np.flatnonzero(share > 0)
    if len(frame) <= at_most:
        return frame, share[frame] / share[frame].sum()
    marks = (np.arange(at_most) + rng.uniform()) / at_most
    # In random order, so that neighbours in time are not drawn in turns.
    shuffled = rng.permutation(frame)
    upto = np.cumsum(share[shuffled])
    drawn = shuffled[np.searchsorted(upto / upto[-1], marks, side="right")]
    chosen, times = np.unique(drawn, return_counts=True)
    return chosen, times / at_most


def spread_along(values: NDArray[np.float64], population: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return about `count` of K conformations, ascending, that divide the population evenly along a variable (K,)."""
    if len(values) <= count:
        return np.arange(len(values))
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(population[order])
    marks = (np.arange(count) + 0.5) / count
    chosen = np.unique(order[np.searchsorted(upto / upto[-1], marks)])
    # One conformation may have nearly all of the population; masks need two that differ.
    return chosen if len(chosen) > 1 else np.union1d(chosen, order[[0, -1]])
