"""Say in a few plain sentences what the scores mean."""

from collections.abc import Mapping

import numpy as np

from cryoarena.report.collect import Group
from cryoarena.report.score_table import number, value_text
from cryoarena.report.scores import Entry, Statistic, split_recommended


def summarise(group: Group, found: tuple[Statistic, ...], partial: Mapping[str, str]) -> list[str]:
    """Return sentences on the best method per recommended statistic and on runs that gave no score, or lack particles.

    Args:
        group: one dataset and its results.
        found: their scores.
        partial: label of a result that lacks particles -> how many it has.
    """
    ranked = [(statistic, statistic.best()) for statistic in split_recommended(found)[0]]
    sentences = [_sentence(statistic, entries, partial) for statistic, entries in ranked if entries]
    lacking = [f"{label} covers {covered}; the others are not judged." for label, covered in partial.items()]
    return (sentences or ["None of these runs has a score yet."]) + lacking + _silent_runs(group)


def _sentence(statistic: Statistic, ranked: list[Entry], partial: Mapping[str, str]) -> str:
    def name(entry: Entry) -> str:
        label = entry.result.label
        return f"{label} ({partial[label]})" if label in partial else label

    best = ranked[0]
    what = statistic.label[0].lower() + statistic.label[1:]
    value, place = value_text(best.value, best.standard_error), _place(statistic, best)
    alike = [entry for entry in ranked[1:] if _alike(best, entry)]
    if len(ranked) == 1:
        return f"{name(best)} reaches {value} on {what}{place}."
    if alike:
        names = " and ".join(name(entry) for entry in [best, *alike])
        return f"{names} cannot be told apart on {what}: {value}{place}."
    second = ranked[1]
    next_one = f"{name(second)} follows with {value_text(second.value, second.standard_error)}"
    return f"{name(best)} is best on {what}: {value}{place}; {next_one}."


def _place(statistic: Statistic, best: Entry) -> str:
    if not np.isfinite(best.normalised):
        return ""
    floor, ceiling = number(statistic.floor), number(statistic.ceiling)
    if best.normalised > 1:
        return f", above the ceiling ({ceiling})"
    if best.normalised <= 0:
        return f", no better than the floor ({floor})"
    return f", {100 * best.normalised:.0f} % of the way from the floor ({floor}) to the ceiling ({ceiling})"


def _alike(one: Entry, other: Entry) -> bool:
    """Tell whether two scores differ by less than two standard errors of their difference."""
    spread = 2 * np.hypot(np.nan_to_num(one.standard_error), np.nan_to_num(other.standard_error))
    return bool(abs(one.value - other.value) < spread)


def _silent_runs(group: Group) -> list[str]:
    sentences = []
    for status, verb in (("failed", "failed"), ("not_applicable", "cannot be applied here")):
        runs = [result for result in group.results if result.status == status]
        for result in runs:
            reason = str(result.info.get("reason") or "no reason was recorded")
            sentences.append(f"{result.label} {verb}: {reason.rstrip('.')}.")
    return sentences
