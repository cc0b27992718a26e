from pathlib import Path

import numpy as np
import pytest

from cryoarena.report.collect import Group, ResultFolder
from cryoarena.report.overall import overall
from cryoarena.report.pooling import Pooled, pool, pooled_error, rank_intervals
from cryoarena.report.scores import Entry, Statistic
from cryoarena.report.shown_runs import shown_runs


def runs(variant: str, n: int, status: str = "ok") -> list[ResultFolder]:
    info = {"status": status, "reason": "out of memory" if status == "failed" else ""}
    return [ResultFolder(Path(f"{variant}{k}"), info, variant, 0, f"seed {k}" if n > 1 else "") for k in range(n)]


def statistic(*scores: tuple[ResultFolder, float]) -> Statistic:
    entries = [Entry(run, value, 0.01, (value - 0.2) / 0.2, "ok", "") for run, value in scores]
    return Statistic("per-image-fsc", "standard/mask/auc", "higher", "", 0.2, 0.4, tuple(entries))


def pooled(label: str, normalised: float, error: float = 0.01) -> Pooled:
    return Pooled(label, 0, normalised, error, normalised, error, (), 1, "ok", "")


def test_error_over_seeds_holds_both_parts_and_covers_the_truth() -> None:
    assert pooled_error([0.02], [0.3]) == pytest.approx(0.02)
    assert pooled_error([0.02, 0.02, 0.02], [0.3, 0.3, 0.3]) == pytest.approx(0.02)  # the same images: no gain
    assert pooled_error([0.0] * 4, [1.0, 2.0, 3.0, 4.0]) == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert np.isnan(pooled_error([float("nan")], [0.3]))
    rng = np.random.default_rng(0)
    of_images, of_seeds = rng.normal(0, 0.02, 4000), rng.normal(0, 0.03, (4000, 8))
    values = of_images[:, None] + of_seeds
    errors = np.array([pooled_error([0.02] * 8, list(row)) for row in values])
    assert np.mean(np.abs(values.mean(axis=1)) < 1.96 * errors) == pytest.approx(0.95, abs=0.02)


def test_rank_interval_is_narrow_only_where_the_errors_allow() -> None:
    assert rank_intervals([0.5, 0.4, 0.3], [0.001] * 3) == [(1, 1), (2, 2), (3, 3)]
    assert rank_intervals([0.50, 0.49, 0.3], [0.01] * 3) == [(1, 2), (1, 2), (3, 3)]
    assert rank_intervals([0.5], [float("nan")]) == [(1, 1)]
    assert rank_intervals([], []) == []


def test_rank_interval_covers_the_true_rank() -> None:
    rng, truth, error = np.random.default_rng(1), np.array([0.30, 0.31, 0.33, 0.36]), 0.01
    hits = []
    for _ in range(500):
        seen = truth + rng.normal(0, error, 4)
        hits.append([low <= 4 - k <= high for k, (low, high) in enumerate(rank_intervals(list(seen), [error] * 4))])
    assert np.mean(hits, axis=0).min() >= 0.95


def test_seeds_are_pooled_and_a_failed_method_never_ranks() -> None:
    a, b, broken = runs("a", 3), runs("b", 1), runs("broken", 1, "failed")
    found = statistic((a[0], 0.30), (a[1], 0.32), (b[0], 0.25))  # one seed of a has no score
    board = pool(found, Group("d", None, (*a, *b, *broken)))
    assert [(m.label, m.rank) for m in board] == [("a", (1, 1)), ("b", (2, 2)), ("broken", None)]
    assert board[0].value == pytest.approx(0.31)
    assert board[0].normalised == pytest.approx(0.55)
    assert board[0].normalised_error == pytest.approx(board[0].standard_error / 0.2)
    assert (len(board[0].seeds), board[0].runs) == (2, 3)
    assert (board[2].status, board[2].reason) == ("failed", "out of memory")


def test_overall_ranks_only_methods_with_every_dataset() -> None:
    boards = [("one", [pooled("a", 0.5), pooled("b", 0.9)]), ("two", [pooled("a", 0.7), pooled("c", 0.2)])]
    joined = overall("FSC", "fsc", boards)
    assert joined is not None
    assert [(row.label, row.rank) for row in joined.rows] == [("a", (1, 1)), ("b", None), ("c", None)]
    assert joined.rows[0].mean == pytest.approx(0.6)
    assert joined.rows[0].standard_error == pytest.approx(0.01 / np.sqrt(2))
    assert joined.rows[1].cells[1] is None
    assert overall("FSC", "fsc", boards[:1]) is None


def test_median_run_of_each_method_is_shown_the_best_method_first() -> None:
    a, b = runs("a", 3), runs("b", 2)
    found = statistic((a[0], 0.25), (a[1], 0.21), (a[2], 0.23), (b[0], 0.35), (b[1], 0.36))
    shown = shown_runs(Group("d", None, (*a, *b)), [found])
    assert [run.label for run in shown.results] == ["b, seed 0", "a, seed 2"]
    assert [run.label for run in shown_runs(Group("d", None, (*a, *b)), []).results] == ["a, seed 0", "b, seed 0"]
