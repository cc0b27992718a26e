from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoarena.report.collect import Group, ResultFolder, collect
from cryoarena.report.coverage import partial_coverage
from cryoarena.report.pooling import pool
from cryoarena.report.score_table import bars
from cryoarena.report.scores import Entry, Statistic, label, read_scores, split_recommended, statistics
from cryoarena.report.summary import summarise
from cryoarena.report.text import value_text


def entry(name: str, value: float, error: float = 0.01, normalised: float = np.nan) -> Entry:
    result = ResultFolder(Path(name), {"method": {"name": name}}, name, 0)
    return Entry(result, value, error, normalised, "ok", "")


def statistic(*entries: Entry, direction: str = "higher") -> Statistic:
    return Statistic("per-image-fsc", "standard/moving_mask/auc", direction, "", 0.2, 0.4, entries)


def group_of(found: Statistic) -> Group:
    return Group("d", None, tuple(entry.result for entry in found.entries))


def test_recommended_statistics_come_first(bench: Path) -> None:
    (group,) = collect(bench).groups
    found = statistics(group, read_scores(group, []))
    first, rest = split_recommended(found)
    assert [s.name for s in first] == ["standard/moving_mask/auc", "standard/mask/auc", "standard/mean_1_10"]
    assert {s.name for s in rest} == {"standard/no_mask/auc", "cryobench/mask/auc"}


def test_metric_that_failed_as_a_whole_stands_beside_the_others(bench: Path) -> None:
    (group,) = collect(bench).groups
    pmn = next(s for s in statistics(group, read_scores(group, [])) if s.metric == "pmn")
    status = {e.result.label: (e.status, np.isfinite(e.value)) for e in pmn.entries}
    assert status == {"consensus": ("not_applicable", False), "ppca": ("ok", True)}
    ranks = {m.label: m.rank for m in pool(pmn, group)}
    assert ranks == {"ppca": (1, 1), "consensus": None}  # what is missing never ranks


def test_normalised_is_worked_out_where_the_table_lacks_it() -> None:
    result = ResultFolder(Path("r"), {"status": "ok"}, "ppca", 0)
    row = {"metric": "m", "statistic": "s", "value": 0.35, "standard_error": 0.01, "status": "ok"}
    table = pd.DataFrame([row | {"floor": 0.2, "ceiling": 0.4, "label": "ppca"}])
    (found,) = statistics(Group("d", None, (result,)), table)
    assert found.entries[0].normalised == pytest.approx(0.75)
    # What the scorer withheld, because the limits are too close to tell, is not made up.
    withheld = table.assign(normalised=np.nan)
    assert np.isnan(statistics(Group("d", None, (result,)), withheld)[0].entries[0].normalised)
    table = table.assign(ceiling=0.1)
    assert np.isnan(statistics(Group("d", None, (result,)), table)[0].entries[0].normalised)


def test_unit_is_read_where_the_table_has_one(bench: Path) -> None:
    (group,) = collect(bench).groups
    table = read_scores(group, [])
    units = {s.metric: (s.unit, bars(s, group, {}).unit) for s in statistics(group, table)}
    assert units == {"per-image-fsc": ("cycles/px", "cycles/px"), "pmn": ("%", "%")}
    assert {s.unit for s in statistics(group, table.drop(columns="unit"))} == {""}


@pytest.mark.parametrize(("direction", "best"), [("higher", "b"), ("lower", "a")])
def test_best_follows_the_direction(direction: str, best: str) -> None:
    found = statistic(entry("a", 0.1), entry("b", 0.3), direction=direction)
    first, second = pool(found, group_of(found))
    assert (first.label, first.rank, second.rank) == (best, (1, 1), (2, 2))


def test_summary_names_the_winner_and_its_place() -> None:
    found = statistic(entry("ppca", 0.33, 0.006, 0.65), entry("consensus", 0.2, 0.006, 0.0))
    (sentence,) = summarise(group_of(found), (found,), {})
    assert sentence == (
        "ppca is best on per-image FSC AUC (moving region): 0.330 ± 0.006, 65 % of the way from the floor (0.200) "
        "to the ceiling (0.400); consensus follows with 0.200 ± 0.006."
    )


def test_summary_does_not_crown_a_tie() -> None:
    found = statistic(entry("a", 0.30), entry("b", 0.31))
    (sentence,) = summarise(group_of(found), (found,), {})
    assert "b and a cannot be told apart" in sentence


def test_summary_tells_why_a_run_gave_nothing() -> None:
    run = ResultFolder(Path("r"), {"status": "failed", "reason": "out of memory"}, "big", 0)
    assert summarise(Group("d", None, (run,)), (), {})[-1] == "big failed: out of memory."


def test_results_that_lack_particles_are_told_wherever_they_are_named(bench: Path) -> None:
    (group,) = collect(bench).groups
    table = read_scores(group, []).assign(coverage=1.0, particles=5000)
    assert partial_coverage(table) == partial_coverage(table.drop(columns="coverage")) == {}
    table.loc[table["label"] == "ppca", "coverage"] = 4812 / 5000
    partial = partial_coverage(table)
    assert partial == {"ppca": "4,812 of 5,000 particles"}
    found = statistics(group, table)
    sentences = summarise(group, found, partial)
    assert sentences[0].startswith("ppca (4,812 of 5,000 particles) is best on")
    assert "ppca covers 4,812 of 5,000 particles; the others are not judged." in sentences
    assert {row.covered for row in bars(found[0], group, partial).rows} == {"", "4,812 of 5,000 particles"}


def test_bar_places_floor_marker_and_ceiling_in_proportion() -> None:
    found = statistic(entry("a", 0.3, 0.02))
    laid = bars(found, group_of(found), {})
    assert laid.floor_at is not None
    assert laid.ceiling_at is not None
    row = laid.rows[0]
    assert row.marker == pytest.approx((laid.floor_at + laid.ceiling_at) / 2, abs=0.02)
    assert row.whisker is not None
    assert (row.whisker[1] - row.whisker[0]) / (laid.ceiling_at - laid.floor_at) == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.32912, 0.0062, "0.329 ± 0.006"), (0.32912, 0.0012, "0.3291 ± 0.0012"), (61.7, 1.14, "61.7 ± 1.1"),
     (0.5, np.nan, "0.500")],
)  # fmt: skip
def test_value_is_written_as_precisely_as_its_error(value: float, error: float, text: str) -> None:
    assert value_text(value, error) == text


def test_labels_are_words() -> None:
    assert label("per-image-fsc", "standard/moving_mask/auc") == "Per-image FSC AUC (moving region)"
    assert label("per-image-fsc", "cryobench/mask/auc") == "Per-image FSC AUC (cryobench, whole molecule)"
    assert label("new-metric", "some_thing") == "new-metric (some thing)"
