"""Choose the one run of each method whose maps and latents are shown."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cryoarena.report.collect import Group, ResultFolder
from cryoarena.report.pooling import pool
from cryoarena.report.scores import Statistic


def shown_runs(group: Group, found: Sequence[Statistic]) -> Group:
    """Return the group with the median run of every method, by the first statistic that ranks its runs.

    Of an even number of runs it is the lower of the middle two; where nothing was scored it is the first. The methods
    come in the order of the leaderboard of the first statistic.
    """
    order = [method.label for method in pool(found[0], group)] if found else [r.variant for r in group.results]
    chosen = []
    for variant in dict.fromkeys(order):
        runs = [result for result in group.results if result.variant == variant]
        chosen.append(_median(runs, found))
    return replace(group, results=tuple(chosen))


def _median(runs: list[ResultFolder], found: Sequence[Statistic]) -> ResultFolder:
    runs = [run for run in runs if run.status == "ok"] or runs
    for statistic in found:
        mine = [entry for entry in statistic.entries if entry.result in runs and np.isfinite(entry.value)]
        if len(mine) == len(runs):
            sign = -1 if statistic.direction == "lower" else 1
            return sorted(mine, key=lambda entry: sign * entry.value)[(len(mine) - 1) // 2].result
    return runs[0]
