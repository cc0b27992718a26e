"""What is told of a suite while it runs and afterwards."""

import io
import json
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from cryoarena.benchmark.plan import Asks, Job, Plan
from cryoarena.benchmark.status import as_json, as_table, duration, suite_status
from cryoarena.benchmark.suite_folder import SuiteFolder


@pytest.fixture
def plan() -> Plan:
    data = Job("data", "aa", "lysozyme", "data/lysozyme-aa", asks=Asks(threads=2))
    limits = Job("limits", "bb", "lysozyme", "data/lysozyme-aa/truth/limits", ("data/aa",))
    runs = [Job("run", key, f"lysozyme {key}", f"results/lysozyme-aa/{key}", ("data/aa",)) for key in ("cc", "dd")]
    score = Job("score", "ee", "lysozyme cc", "results/lysozyme-aa/cc", ("run/cc", "limits/bb"))
    return Plan("mine", "", {job.identity: job for job in [data, limits, *runs, score]}, {})


def test_every_state_is_told(plan: Plan, tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path)
    data, limits, failed, running, _ = plan.jobs.values()
    folder.write_ending(data, "ok", wall_s=12.0)
    folder.write_ending(failed, "failed", "out of ideas")
    for job, age_s in ((running, 0), (limits, 3600)):
        path = folder.alive(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"started": time.time() - 90 - age_s}))
        os.utime(path, (time.time() - age_s, time.time() - age_s))
    folder.log(running).parent.mkdir()
    folder.log(running).write_text("Running dd: 30%\nRunning dd: 40% |k| <= 12\n\n")
    statuses = suite_status(folder, plan)
    # What has not told anything for an hour is not running, whatever it told then.
    assert [status.state for status in statuses] == ["ok", "waiting", "failed", "running", "waiting"]
    assert statuses[3].reason == "Running dd: 40% |k| <= 12"
    assert statuses[3].seconds == pytest.approx(90, abs=30)
    told = as_json(folder, plan, statuses)
    assert json.loads(json.dumps(told))["counts"] == {
        "ok": 1, "not_applicable": 0, "failed": 1, "running": 1, "waiting": 2
    }  # fmt: skip
    shown = io.StringIO()
    Console(file=shown, width=160).print(as_table(folder, plan, statuses))
    assert "out of ideas" in shown.getvalue()
    assert "logs/run-lysozyme-cc-cc.log" in shown.getvalue()


def test_what_follows_from_a_failure_is_not_shown_as_another(plan: Plan, tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path)
    for job in plan.jobs.values():
        folder.write_ending(job, "failed", "no such molecule")
    shown = io.StringIO()
    Console(file=shown, width=160).print(as_table(folder, plan, suite_status(folder, plan)))
    assert shown.getvalue().count("no such molecule") == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (4.14, "4.1 s"), (61, "1:01"), (3600 + 62, "1:01:02"), (3599.9, "1:00:00")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
