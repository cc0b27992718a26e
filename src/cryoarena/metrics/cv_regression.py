"""Regression of the collective variables from the embedding: can they be read off it?"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricCard, MetricResult, NotApplicable, Score, metric
from cryoarena.metrics.embedding_space import EmbeddingSpace, blocks, embedding_space

_FOLDS = 5
_QUERIES_PER_FOLD = 1000
_LEAST_IMAGES = 25
_ROUNDING = 1e-12


@metric(
    MetricCard(
        name="cv-regression",
        version=1,
        unit="",
        range=(-float("inf"), 1.0),
        direction="higher",
        citation="Stone 1977, Ann. Statist. 5:595 (k-NN regression); R² of held-out images",
        summary="Share of the variance of each collective variable that its nearest neighbours in the latent predict.",
        needs=("embedding", "true_cvs", "cv_periods", "seed"),
    )
)
def cv_regression(
    embedding: NDArray[np.floating],
    true_cvs: Mapping[str, NDArray[np.floating]],
    cv_periods: Mapping[str, float | None],
    seed: int = 0,
) -> MetricResult:
    """Predict the CVs of held-out images from their nearest neighbours in an embedding (N, d).

    Five folds; of each at most 1,000 images, drawn at random, are predicted by the mean over their sqrt(N) nearest
    neighbours among the images of the other folds. An angle is predicted as a point on the circle.

    Args:
        embedding: (N, d).
        true_cvs: name to values (N,), in the order of the embedding.
        cv_periods: name to period, None for a CV that is no angle.
        seed: of folds and samples.

    Returns:
        `r2/<name>`: 1 - (mean squared error) / (mean squared error of predicting the mean). 0 for an embedding that
        knows nothing, below 0 when it misleads; absent for a CV that is the same for all images. Standard errors are
        over predicted images, by linearising the ratio.

    Raises:
        UserError: when the embedding holds NaN or its rows do not match the truth.
        NotApplicable: when there are too few images, or there is no CV.
    """
    if not true_cvs:
        raise NotApplicable("the dataset has no collective variable that could be predicted from the embedding")
    space = embedding_space(embedding, "the embedding")
    for name, values in true_cvs.items():
        if len(values) != len(space):
            raise UserError(
                f"the embedding has {len(space)} rows but the truth has {len(values)} values of {name}; "
                "match them by particle id"
            )
    if len(space) < _LEAST_IMAGES:
        raise NotApplicable(f"regression needs at least {_LEAST_IMAGES} images, but the dataset has {len(space)}")
    targets = {
        name: _coordinates(np.asarray(values, np.float64), cv_periods[name]) for name, values in true_cvs.items()
    }
    varying = {name: target for name, target in targets.items() if _varies(target)}
    errors = _held_out(space, varying, seed) if varying else {}
    return MetricResult(
        {f"r2/{name}": _r2(*of_cv) for name, of_cv in errors.items()},
        absent={f"r2/{name}": f"{name} is the same for all images" for name in targets if name not in varying},
    )


def _varies(target: NDArray[np.float64]) -> bool:
    """Tell whether coordinates (N, t) differ by more than rounding."""
    return bool(np.ptp(target, axis=0).max() > _ROUNDING * np.abs(target).max())


def _coordinates(values: NDArray[np.float64], period: float | None) -> NDArray[np.float64]:
    if period is None:
        return values[:, None]
    angle = 2 * np.pi * values / period
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _held_out(
    space: EmbeddingSpace, targets: Mapping[str, NDArray[np.float64]], seed: int
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return per CV the squared errors (Q,) of the prediction and of the mean of the training images."""
    n = len(space)
    rng = np.random.default_rng(seed)
    fold_of = rng.permutation(n) % _FOLDS
    stacked = np.hstack(list(targets.values()))
    ends = np.cumsum([target.shape[1] for target in targets.values()])
    parts: list[NDArray[np.float64]] = []
    for fold in range(_FOLDS):
        training = fold_of != fold
        queries = rng.permutation(np.flatnonzero(~training))[:_QUERIES_PER_FOLD]
        predicted = _nearest_mean(space, stacked, queries, training)
        constant = stacked[training].mean(axis=0)
        parts.append(np.stack([(stacked[queries] - guess) ** 2 for guess in (predicted, constant)]))
    squared = np.split(np.concatenate(parts, axis=1), ends[:-1], axis=2)
    return {name: tuple(of_cv.sum(axis=2)) for name, of_cv in zip(targets, squared, strict=True)}


def _nearest_mean(
    space: EmbeddingSpace, targets: NDArray[np.float64], queries: NDArray[np.int64], training: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the mean targets (Q, t) of the nearest training images; those that tie at the rim share what is left."""
    k = max(1, round(np.sqrt(len(space))))
    predicted = np.empty((len(queries), targets.shape[1]))
    done = 0
    for rows in blocks(queries, len(space)):
        distances = np.where(training, space.distances(rows), np.inf)
        radii = np.partition(distances, k - 1, axis=1)[:, k - 1]
        for distance, radius, slack in zip(distances, radii, space.slack(radii), strict=True):
            within = np.flatnonzero(distance < radius - slack)
            rim = np.flatnonzero(np.abs(distance - radius) <= slack)
            total = targets[within].sum(axis=0) + (k - len(within)) * targets[rim].mean(axis=0)
            predicted[done] = total / k
            done += 1
    return predicted


def _r2(squared: NDArray[np.float64], of_mean: NDArray[np.float64]) -> Score:
    n = len(squared)
    ratio = squared.mean() / of_mean.mean()
    error = (squared - ratio * of_mean).std(ddof=1) / (of_mean.mean() * np.sqrt(n))
    return Score(float(1 - ratio), float(error), n)
