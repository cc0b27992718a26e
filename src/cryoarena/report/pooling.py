"""Pool each method's scores over its seeds and rank the methods, with the uncertainty of the rank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from cryoarena.report.collect import Group
from cryoarena.report.scores import Entry, Statistic

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Pooled:
    """One method's score on one statistic over all of its seeds; NaN where unknown.

    Attributes:
        label, colour: of the method.
        value, standard_error: mean over the seeds and its error.
        normalised, normalised_error: the same on a scale where the floor is 0 and the ceiling 1.
        seeds: the scores that were pooled.
        runs: how many runs there were; more than `seeds` where some gave no score.
        status, reason: `ok`, or why there is no score.
        rank: smallest and largest rank that the errors allow; None without a score.
        covered: how many particles the results have, where they lack some; else empty.
    """

    label: str
    colour: int
    value: float
    standard_error: float
    normalised: float
    normalised_error: float
    seeds: tuple[Entry, ...]
    runs: int
    status: str
    reason: str
    rank: tuple[int, int] | None = None
    covered: str = ""


def pool(statistic: Statistic, group: Group) -> tuple[Pooled, ...]:
    """Return every method of `group`, best first; those without a score come last and have no rank."""
    variants = dict.fromkeys(result.variant for result in group.results)
    methods = [_pool(statistic, group, variant) for variant in variants]
    scored = [method for method in methods if np.isfinite(method.value)]
    rest = [method for method in methods if not np.isfinite(method.value)]
    scored.sort(key=lambda method: method.value, reverse=statistic.direction != "lower")
    sign = -1 if statistic.direction == "lower" else 1
    ranks = rank_intervals([sign * method.value for method in scored], [method.standard_error for method in scored])
    return (*(replace(method, rank=rank) for method, rank in zip(scored, ranks, strict=True)), *rest)


def rank_intervals(values: Sequence[float], standard_errors: Sequence[float]) -> list[tuple[int, int]]:
    """Return the smallest and the largest rank of each value (higher is better, rank 1 is best).

    A method ranks below those that are significantly better and above those that are significantly worse, in two-sided
    z-tests at 95 % with Bonferroni's correction for the comparisons of each method (Mogstad, Romano, Shaikh & Wilhelm
    2024, Rev. Econ. Stud. 91:476). Errors of different methods are taken as independent: as methods see the same
    images, this is cautious. An unknown error counts as none.
    """
    value, error = np.asarray(values, np.float64), np.nan_to_num(np.asarray(standard_errors, np.float64))
    n = len(value)
    z = norm.ppf(1 - (1 - _CONFIDENCE) / (2 * max(n - 1, 1)))
    difference = value[None, :] - value[:, None]
    reach = z * np.hypot(error[None, :], error[:, None])
    better = (difference > reach).sum(axis=1)
    worse = (difference < -reach).sum(axis=1)
    return [(1 + int(above), n - int(below)) for above, below in zip(better, worse, strict=True)]


def pooled_error(standard_errors: Sequence[float], values: Sequence[float]) -> float:
    """Return the standard error of the mean over seeds.

    Seeds judge the same images, so the error that comes from the choice of images does not average out; the scatter
    of the seeds does: error² = mean(error²) + variance(values) / n.
    """
    errors, n = np.asarray(standard_errors, np.float64), len(values)
    known = errors[np.isfinite(errors)]
    if not known.size and n < 2:
        return float("nan")
    within = float(np.mean(known**2)) if known.size else 0.0
    return float(np.sqrt(within + (np.var(values, ddof=1) / n if n > 1 else 0.0)))


def _pool(statistic: Statistic, group: Group, variant: str) -> Pooled:
    runs = [result for result in group.results if result.variant == variant]
    mine = [entry for entry in statistic.entries if entry.result.variant == variant]
    scored = tuple(entry for entry in mine if np.isfinite(entry.value))
    colour = runs[0].colour
    if not scored:
        status, reason = _why_none(mine, [(run.status, str(run.info.get("reason") or "")) for run in runs])
        nan = float("nan")
        return Pooled(variant, colour, nan, nan, nan, nan, (), len(runs), status, reason)
    values = [entry.value for entry in scored]
    value = float(np.mean(values))
    error = pooled_error([entry.standard_error for entry in scored], values)
    normalised = [entry.normalised for entry in scored if np.isfinite(entry.normalised)]
    span = abs(statistic.ceiling - statistic.floor)
    return Pooled(
        variant,
        colour,
        value,
        error,
        float(np.mean(normalised)) if normalised else float("nan"),
        error / span if normalised and span > 0 else float("nan"),
        scored,
        len(runs),
        "ok",
        "",
    )


def _why_none(entries: list[Entry], runs: list[tuple[str, str]]) -> tuple[str, str]:
    told = [(entry.status, entry.reason) for entry in entries if entry.status != "ok"]
    told += [run for run in runs if run[0] != "ok"]
    return told[0] if told else ("missing", "this run has no score for this statistic")
