"""The score table of a suite: those of all cells, one after another."""

import csv
import io

from cryoarena.benchmark.plan import Job, Plan
from cryoarena.benchmark.score_columns import COLUMNS
from cryoarena.benchmark.suite_folder import SuiteFolder
from cryoarena.files import atomic_path


def write_suite_table(folder: SuiteFolder, plan: Plan) -> int:
    """Write `scores.csv` of a suite and return its number of rows.

    Rows are sorted by data set, method, run, metric and statistic, and numbers are copied as they are, so that equal
    results give equal bytes. A cell whose run or scoring died has a failed row for every metric.
    """
    rows: list[dict[str, str]] = []
    for job in plan.of_kind("score"):
        path = folder.product(job) / "scores.csv"
        ending = folder.ending(job)
        if ending is None:
            continue
        if ending["status"] == "ok":
            with path.open(newline="", encoding="utf-8") as stream:
                table = csv.DictReader(stream)
                # As the suite calls data set and run now: one recipe may be in it with several settings, and labels
                # may have changed since.
                own = {"dataset": _data_label(plan, job), "run": job.folder.rpartition("/")[2]}
                rows += [{**row, **own} for row in table]
        else:
            rows += _failed(plan, job, ending["reason"])
    rows.sort(
        key=lambda row: [row[name] for name in ("dataset", "method", "run", "metric")] + [row.get("statistic", "")]
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_path(folder.scores) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return len(rows)


def _data_label(plan: Plan, job: Job) -> str:
    run = plan.jobs[job.needs[0]]
    return plan.jobs[run.needs[0]].label


def _failed(plan: Plan, job: Job, reason: str) -> list[dict[str, str]]:
    run = plan.jobs[job.needs[0]]
    cell = {"dataset": _data_label(plan, job), "method": run.work["method"]["name"]}
    cell |= {"run": run.folder.rpartition("/")[2], "status": "failed", "reason": reason}
    return [
        {**cell, "metric": name, "direction": card["direction"], "metric_version": str(card["version"])}
        for name, card in plan.metrics.items()
    ]
