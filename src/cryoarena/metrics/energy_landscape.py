"""Energy landscape: are particles in their wells, and are the wells as deep as they are in truth?"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cryoarena.datasets.energy_surface import EnergySurface
from cryoarena.datasets.energy_wells import energy_wells
from cryoarena.errors import UserError
from cryoarena.metrics.base import Curve, MetricCard, MetricResult, NotApplicable, Score, metric
from cryoarena.metrics.embedding_space import sampled_rows
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.local_regression import cross_validated_prediction

_LEAST_DEPTH_KT = 0.5
_MOST_IMAGES = 20_000
_LEAST_IMAGES = 100
_IMAGES_PER_CELL = 25
_LEAST_IMAGES_IN_CELL = 10
_RESAMPLED = 200


@metric(
    MetricCard(
        name="energy-landscape",
        version=2,
        unit="",
        range=(0.0, 1.0),
        direction="higher",
        citation="Dsouza et al. 2023, Sci. Rep. 13:1372 (recall of the wells); energy = -kT ln occupancy",
        summary="Share of particles found in their own energy well, and error of the energy from the embedding.",
        needs=("embedding", "true_cvs", "cv_periods", "energy_surface", "seed"),
    )
)
def energy_landscape(
    embedding: NDArray[np.floating],
    true_cvs: Mapping[str, NDArray[np.floating]],
    cv_periods: Mapping[str, float | None],
    energy_surface: EnergySurface,
    seed: int = 0,
) -> MetricResult:
    """Judge an embedding (N, d) of particles whose CVs follow a known free energy.

    The wells are those of `energy_wells`, at least 0.5 kT deep; a particle is in the one that its true CVs drain into.
    For all but the published score, the CVs of a random sample of up to 20,000 particles are predicted from the
    embedding (`cross_validated_prediction`), which is free to be bent, stretched and turned.

    Args:
        embedding: (N, d).
        true_cvs: name to values (N,), in the order of the embedding.
        cv_periods: name to period, None for a CV that is no angle.
        energy_surface: over some or all of these CVs.
        seed: of sample, folds and bootstrap.

    Returns:
        `published/accuracy`: mean over wells of the share of their particles nearest, in the embedding itself, to the
        mean of their well (Dsouza et al., Methods; there of two chosen coordinates, here of all). It needs no
        regression but feels how the axes are scaled, and the truth itself has less than 1.
        `standard/accuracy`: the same mean of the share of particles whose predicted CVs are in their well.
        `standard/energy_rms`: root-mean-square difference (kT) between the true energy and -ln of the share of
        predicted CVs, less the best constant, over cells of the landscape with about 25 particles each that should
        hold at least ten or hold more than twenty. An empty cell counts as half a particle. The truth itself has the
        error of counting, 0.2.
        Curves: `published/recall` and `standard/recall` per well, in the order of their places on the grid;
        `energy/<cv>` and `true_energy/<cv>` along each CV. Errors are bootstraps over particles, of the counts.

    Raises:
        NotApplicable: when a CV of the surface is an angle, or there is only one well.
        UserError: when the embedding holds NaN, its rows do not match, or there are too few images.
    """
    names = energy_surface.cv_names
    if any(cv_periods[name] is not None for name in names):
        raise NotApplicable("an energy over periodic angles is not judged")
    well_of_cell = energy_wells(energy_surface.energy_kT, _LEAST_DEPTH_KT).ravel()
    wells = int(well_of_cell.max()) + 1
    if wells < 2:
        raise NotApplicable(f"the energy has one well only that is {_LEAST_DEPTH_KT} kT deep")
    cvs = np.stack([np.asarray(true_cvs[name], np.float64) for name in names], axis=1)
    rows = finite_rows("embedding", embedding, len(cvs))
    if len(rows) < _LEAST_IMAGES:
        raise UserError(f"this metric needs at least {_LEAST_IMAGES} images, not {len(rows)}; score a larger dataset")
    well = well_of_cell[energy_surface.cells(cvs)]
    if (well < 0).any():
        raise UserError(f"{(well < 0).sum()} particles lie where the energy is infinite; correct the truth")
    rng = np.random.default_rng(seed)
    scores: dict[str, Score] = {}
    curves: dict[str, Curve] = {}

    sample = sampled_rows(len(rows), _MOST_IMAGES, seed)
    predicted = cross_validated_prediction(rows[sample], cvs[sample], seed)
    found = well_of_cell[energy_surface.cells(predicted)]
    for variant, true, assigned in (
        ("published", well, _nearest_centre(rows, well, wells)),
        ("standard", well[sample], found),
    ):
        scores[f"{variant}/accuracy"], curves[f"{variant}/recall"] = _recall(true, assigned, wells, rng)
    scores["standard/energy_rms"], of_energy = _energy_error(predicted, energy_surface, rng)
    return MetricResult(scores, curves | of_energy)


def _nearest_centre(rows: NDArray[np.float64], well: NDArray[np.int64], wells: int) -> NDArray[np.int64]:
    """Return the well (N,) whose particles' mean latent is nearest."""
    occupied = np.flatnonzero(np.bincount(well, minlength=wells))
    centres = np.stack([rows[well == each].mean(axis=0) for each in occupied])
    return np.asarray(occupied[cdist(rows, centres, "sqeuclidean").argmin(axis=1)])


def _recall(
    true: NDArray[np.int64], assigned: NDArray[np.int64], wells: int, rng: np.random.Generator
) -> tuple[Score, Curve]:
    n = len(true)
    size = np.bincount(true, minlength=wells)
    right = np.bincount(true[assigned == true], minlength=wells)
    occupied = size > 0
    counts = np.stack([right, size - right])[:, occupied]
    resampled = rng.multinomial(n, counts.ravel() / n, size=_RESAMPLED).reshape(-1, *counts.shape)
    # A well that a resampling left without a particle counts as one with half a particle, missed.
    recalls = resampled[:, 0] / np.maximum(resampled.sum(axis=1, dtype=np.float64), 0.5)
    recall = right[occupied] / size[occupied]
    curve = Curve(np.flatnonzero(occupied).astype(np.float64) + 1, recall, recalls.std(axis=0), "well", "recall")
    return Score(float(recall.mean()), float(recalls.mean(axis=1).std()), n), curve


def _energy_error(
    predicted: NDArray[np.float64], surface: EnergySurface, rng: np.random.Generator
) -> tuple[Score, dict[str, Curve]]:
    n, dimensions = predicted.shape
    per_axis = max(2, round((n / _IMAGES_PER_CELL) ** (1 / dimensions)))
    # Whole cells of the surface are joined, so that the true share of a block is exact.
    blocks = [np.arange(len(axis)) * min(per_axis, len(axis)) // len(axis) for axis in surface.axes]
    shape = tuple(int(block.max()) + 1 for block in blocks)
    block_of_cell = np.ravel_multi_index(np.ix_(*blocks), shape).ravel()
    share = np.bincount(block_of_cell, surface.probability().ravel(), int(np.prod(shape)))
    counts = np.bincount(block_of_cell[surface.cells(predicted)], minlength=len(share))
    # Cells that hold far more than they should count too, or particles outside the wells would cost nothing.
    judged = (share * n >= _LEAST_IMAGES_IN_CELL) | (counts > 2 * _LEAST_IMAGES_IN_CELL)

    def error(count: NDArray[np.int64]) -> NDArray[np.float64]:
        difference = np.log(np.maximum(share[judged], 0.5 / n)) - np.log(np.maximum(count[:, judged], 0.5) / n)
        return np.asarray(difference.std(axis=1))

    resampled = error(rng.multinomial(n, counts / n, size=_RESAMPLED))
    score = Score(float(error(counts[None])[0]), float(resampled.std()), n, "kT", "lower")
    curves = {}
    for number, name in enumerate(surface.cv_names):
        others = tuple(axis for axis in range(dimensions) if axis != number)
        of_axis = np.bincount(blocks[number], surface.axes[number]) / np.bincount(blocks[number])
        count = counts.reshape(shape).sum(axis=others)
        with np.errstate(divide="ignore"):
            energies = -np.log(count / n), -np.log(share.reshape(shape).sum(axis=others))
        spread = 1 / np.sqrt(np.maximum(count, 1))
        label = "free energy (kT)"
        curves[f"energy/{name}"] = Curve(of_axis, energies[0], spread, name, label)
        curves[f"true_energy/{name}"] = Curve(of_axis, energies[1], np.zeros(len(of_axis)), name, label)
    return score, curves
