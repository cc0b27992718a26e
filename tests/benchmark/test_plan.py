"""Keys: what is asked for again is not run again, and what has changed is."""

import shutil
from pathlib import Path

import pytest

from cryoarena.benchmark import code_version as code
from cryoarena.benchmark.make_plan import make_plan
from cryoarena.benchmark.plan import Plan, read_plan
from cryoarena.benchmark.signature import signature_of
from cryoarena.benchmark.suite import read_suite
from cryoarena.benchmark.suite_folder import SuiteFolder
from cryoarena.errors import UserError

SUITE = """
seeds = [0, 1]
[[datasets]]
name = "igg-pseudo"
images = 100
[[methods]]
name = "consensus"
[[methods]]
name = "ppca"
"""


def plan_of(folder: Path, text: str = SUITE) -> Plan:
    file = folder / "mine.toml"
    file.write_text(text)
    return make_plan(read_suite(file), file, "signature")


def keys(plan: Plan, kind: str, method: str = "") -> set[str]:
    return {job.key for job in plan.of_kind(kind) if method in job.label}


def test_only_what_an_edit_concerns_has_new_keys(tmp_path: Path) -> None:
    before = plan_of(tmp_path)
    assert plan_of(tmp_path).jobs == before.jobs
    other = plan_of(tmp_path, SUITE + "options = { components = 3 }\n")
    assert keys(other, "run", "consensus") == keys(before, "run", "consensus")
    assert keys(other, "run", "ppca").isdisjoint(keys(before, "run", "ppca"))
    assert keys(other, "score", "ppca").isdisjoint(keys(before, "score", "ppca"))
    assert keys(other, "data") == keys(before, "data")
    more = plan_of(tmp_path, SUITE.replace("[0, 1]", "[0, 1, 2]"))
    assert keys(more, "run") > keys(before, "run")
    # A default that is written down is no change.
    assert keys(plan_of(tmp_path, SUITE + "options = { components = 8 }\n"), "run") == keys(before, "run")


@pytest.mark.parametrize(
    "change", ["images = 101", "images = 100\nseed = 1", "images = 100\nrealism = { ice_nm = 30.0 }"]
)
def test_other_data_are_run_anew(tmp_path: Path, change: str) -> None:
    before, after = plan_of(tmp_path), plan_of(tmp_path, SUITE.replace("images = 100", change))
    assert {job.key for job in before.jobs.values()}.isdisjoint({job.key for job in after.jobs.values()})


def test_metrics_concern_scores_only(tmp_path: Path) -> None:
    before, after = plan_of(tmp_path), plan_of(tmp_path, 'metrics = ["pmn"]\n' + SUITE)
    assert keys(after, "run") == keys(before, "run")
    assert keys(after, "score").isdisjoint(keys(before, "score"))


def test_code_concerns_what_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "cryoarena"
    shutil.copytree(Path(code.__file__).parent.parent, copy)
    monkeypatch.setattr(code, "_PACKAGE", copy)
    kinds = ("data", "run", "score", "report")

    def changed(file: str) -> list[bool]:
        code.code_version.cache_clear()
        before = [code.code_version(kind) for kind in kinds]
        with (copy / file).open("a") as stream:
            stream.write("# changed\n")
        code.code_version.cache_clear()
        return [code.code_version(kind) != version for kind, version in zip(kinds, before, strict=True)]

    try:
        assert changed("imaging/ctf.py") == [True, True, True, True]
        assert changed("methods/ppca.py") == [False, True, True, True]
        assert changed("metrics/judge.py") == [False, False, True, True]
        assert changed("cli/main.py") == [False, False, False, True]
        for name in ("page.html.j2", "style.css", "scatter.js", "logo.svg"):
            assert changed(f"report/templates/{name}") == [False, False, False, True]
    finally:
        code.code_version.cache_clear()


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    plan.write(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    (tmp_path / "plan.json").write_text('{"jobs": [{"kind": "data"}]}')
    with pytest.raises(UserError, match="of another version"):
        read_plan(tmp_path / "plan.json")
    # The jobs of a need come first.
    seen: set[str] = set()
    for job in plan.jobs.values():
        assert seen.issuperset(job.needs)
        seen.add(job.identity)


def test_results_are_put_aside_and_come_back(tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path / "suite")
    both = plan_of(tmp_path)
    one = plan_of(tmp_path, SUITE.replace("[0, 1]", "[0]"))
    for job in both.of_kind("run"):
        folder.product(job).mkdir(parents=True)
        folder.write_ending(job, "ok")
    folder.arrange(one)
    assert len(list((folder.root / "results").glob("*/*"))) == 2
    folder.arrange(both)
    assert all(folder.product(job).is_dir() and folder.ending(job) for job in both.of_kind("run"))
    # What a user has deleted is made again.
    shutil.rmtree(folder.product(both.of_kind("run")[0]))
    folder.arrange(both)
    assert [folder.ending(job) is None for job in both.of_kind("run")] == [True, False, False, False]


def test_what_has_failed_is_not_done_again_by_itself(tmp_path: Path) -> None:
    folder, plan = SuiteFolder(tmp_path / "suite"), plan_of(tmp_path)
    for job in plan.jobs.values():
        folder.product(job).mkdir(parents=True, exist_ok=True)
        folder.write_ending(job, "failed", "out of ideas")
    folder.arrange(plan)
    assert all(folder.ending(job) for job in plan.jobs.values())


def test_a_new_label_moves_and_does_not_run_anew(tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path / "suite")
    before = plan_of(tmp_path)
    after = plan_of(tmp_path, SUITE.replace("images = 100", 'images = 100\nlabel = "tiny"'))
    for job in [*before.of_kind("data"), *before.of_kind("run")]:
        folder.product(job).mkdir(parents=True)
        folder.write_ending(job, "ok")
    folder.arrange(after)
    assert all(folder.product(job).is_dir() and folder.ending(job) for job in after.of_kind("run"))
    assert folder.product(after.of_kind("data")[0]).name.startswith("tiny-")


def test_a_file_that_is_edited_is_seen_and_one_that_is_renamed_is_not_run_anew(tmp_path: Path) -> None:
    noise = "frequency_per_A,power\n0.0,1.0\n0.1,1.0\n"
    files, signatures, plans = [tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "a.csv"], [], []
    for file, text in zip(files, (noise, noise, noise.replace("1.0\n0.1", "2.0\n0.1")), strict=True):
        file.write_text(text)
        suite = SUITE.replace("images = 100", f'images = 100\nrealism = {{ noise = "{file.name}" }}')
        plans.append(keys(plan_of(tmp_path, suite), "data"))
        signatures.append(signature_of(read_suite(tmp_path / "mine.toml")))
    assert plans[0] == plans[1] != plans[2]
    assert signatures[0] != signatures[2]


def test_what_a_user_put_into_the_folder_stays(tmp_path: Path) -> None:
    folder, plan = SuiteFolder(tmp_path / "suite"), plan_of(tmp_path)
    mine = [folder.root / "data" / "mine-own", folder.root / "results" / "igg-pseudo" / "imported"]
    for path in mine:
        path.mkdir(parents=True)
    folder.arrange(plan)
    assert all(path.is_dir() for path in mine)


def test_a_failed_run_whose_result_is_gone_is_done_again(tmp_path: Path) -> None:
    folder, plan = SuiteFolder(tmp_path / "suite"), plan_of(tmp_path)
    run = plan.of_kind("run")[0]
    folder.product(run).mkdir(parents=True)
    folder.write_ending(run, "failed", "out of ideas")
    shutil.rmtree(folder.product(run))
    folder.arrange(plan)
    assert folder.ending(run) is None
