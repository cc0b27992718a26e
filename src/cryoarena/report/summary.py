"""Say in a few plain sentences what the scores mean."""

from collections.abc import Mapping

import numpy as np

from cryoarena.report.collect import Group
from cryoarena.report.coverage import covered_text
from cryoarena.report.pooling import Pooled, pool
from cryoarena.report.scores import Statistic, split_recommended
from cryoarena.report.text import number, value_text


def summarise(group: Group, found: tuple[Statistic, ...], partial: Mapping[str, str]) -> list[str]:
    """Return sentences on the best method per recommended statistic and on runs that gave no score, or lack particles.

    Args:
        group: one dataset and its results.
        found: their scores.
        partial: label of a result that lacks particles -> how many it has.
    """
    boards = [(statistic, pool(statistic, group)) for statistic in split_recommended(found)[0]]
    ranked = [(statistic, [method for method in board if method.rank]) for statistic, board in boards]
    sentences = [_sentence(statistic, methods, partial) for statistic, methods in ranked if methods]
    lacking = [f"{label} covers {covered}; the others are not judged." for label, covered in partial.items()]
    return (sentences or ["None of these runs has a score yet."]) + lacking + _silent_runs(group)


def _sentence(statistic: Statistic, ranked: list[Pooled], partial: Mapping[str, str]) -> str:
    def name(method: Pooled) -> str:
        covered = covered_text(method, partial)
        return f"{method.label} ({covered})" if covered else method.label

    best = ranked[0]
    what = statistic.label[0].lower() + statistic.label[1:]
    value, place = value_text(best.value, best.standard_error), _place(statistic, best)
    alike = [method for method in ranked[1:] if method.rank and method.rank[0] == 1]
    if len(ranked) == 1:
        return f"{name(best)} reaches {value} on {what}{place}."
    if alike:
        names = ", ".join(name(method) for method in [best, *alike][:-1]) + f" and {name(alike[-1])}"
        return f"{names} cannot be told apart on {what}: {value}{place}."
    second = ranked[1]
    next_one = f"{name(second)} follows with {value_text(second.value, second.standard_error)}"
    return f"{name(best)} is best on {what}: {value}{place}; {next_one}."


def _place(statistic: Statistic, best: Pooled) -> str:
    if not np.isfinite(best.normalised):
        return ""
    floor, ceiling = number(statistic.floor), number(statistic.ceiling)
    if best.normalised > 1:
        return f", above the ceiling ({ceiling})"
    if best.normalised <= 0:
        return f", no better than the floor ({floor})"
    return f", {100 * best.normalised:.0f} % of the way from the floor ({floor}) to the ceiling ({ceiling})"


def _silent_runs(group: Group) -> list[str]:
    sentences = []
    for status, verb in (("failed", "failed"), ("not_applicable", "cannot be applied here")):
        runs = [result for result in group.results if result.status == status]
        for result in runs:
            reason = str(result.info.get("reason") or "no reason was recorded")
            sentences.append(f"{result.label} {verb}: {reason.rstrip('.')}.")
    return sentences
