"""Single jobs of a suite."""

from pathlib import Path

import pytest

from cryoarena.benchmark.job import do_job
from cryoarena.benchmark.make_plan import make_plan
from cryoarena.benchmark.suite import read_suite
from cryoarena.benchmark.suite_folder import SuiteFolder
from cryoarena.benchmark.suite_table import write_suite_table
from cryoarena.methods.base import methods
from cryoarena.report.collect import collect
from simulated import make_small_dataset

SUITE = '[[datasets]]\nfolder = "mine"\n[[methods]]\nname = "consensus"\n[[methods]]\nname = "recovar"\n'


def test_a_data_set_that_is_there_is_used_and_found_by_the_report(tmp_path: Path) -> None:
    make_small_dataset(tmp_path / "mine", images=60, box_px=16)
    file, folder = tmp_path / "suite.toml", SuiteFolder(tmp_path / "suite")
    file.write_text(SUITE)
    plan = make_plan(read_suite(file), file, "")
    for job in [*plan.of_kind("data"), *plan.of_kind("run")[:1]]:
        do_job(folder, plan, job, threads=1)
        ending = folder.ending(job)
        assert ending is not None
        assert ending["status"] == "ok"
    (group,) = collect(folder.root).groups
    assert group.dataset is not None
    assert [result.method for result in group.results] == ["consensus"]


def test_a_job_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    make_small_dataset(tmp_path / "mine", images=60, box_px=16)
    file, folder = tmp_path / "suite.toml", SuiteFolder(tmp_path / "suite")
    file.write_text(SUITE)
    plan = make_plan(read_suite(file), file, "")
    run = plan.of_kind("run")[0]
    folder.write_ending(run, "ok")
    do_job(folder, plan, run, threads=1)
    assert not folder.product(run).exists()


def test_where_a_method_broke_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_small_dataset(tmp_path / "mine", images=60, box_px=16)
    file, folder = tmp_path / "suite.toml", SuiteFolder(tmp_path / "suite")
    file.write_text(SUITE)
    plan = make_plan(read_suite(file), file, "")

    def breaking(*arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(methods.get("consensus"), "fit", breaking)
    caplog.set_level("DEBUG", "cryoarena")
    for job in [*plan.of_kind("data"), plan.of_kind("run")[0]]:
        do_job(folder, plan, job, threads=1)
    ending = folder.ending(plan.of_kind("run")[0])
    assert ending is not None
    assert (ending["status"], ending["reason"]) == ("failed", "RuntimeError: broken")
    assert "in breaking" in caplog.text


def test_cells_whose_data_failed_have_failed_rows(tmp_path: Path) -> None:
    file, folder = tmp_path / "suite.toml", SuiteFolder(tmp_path / "suite")
    not_public = 'name = "spike-md"\npreset = "paper"\nimages = 60\nbox = 16'
    file.write_text(SUITE.replace('folder = "mine"', not_public))
    plan = make_plan(read_suite(file), file, "")
    for job in plan.jobs.values():
        if job.kind != "report":
            do_job(folder, plan, job, threads=1)
    assert write_suite_table(folder, plan) == 2 * len(plan.metrics)
    assert folder.scores.read_text().count("there is no data set: the published simulation") == 2 * len(plan.metrics)
    (group,) = collect(folder.root).groups
    assert {result.status for result in group.results} == {"failed"}
