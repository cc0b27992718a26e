"""Suite files: what they may hold, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from cryoarena.benchmark.make_plan import make_plan
from cryoarena.benchmark.run_suite import run_suite
from cryoarena.benchmark.suite import find_suite, read_suite, shipped_suites
from cryoarena.benchmark.workflow import Machine
from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.external_method import ImportableMethod

SMALL = '[[datasets]]\nname = "igg-pseudo"\n[[methods]]\nname = "consensus"\n'


def planned(folder: Path, text: str) -> None:
    file = folder / "mine.toml"
    file.write_text(text)
    make_plan(read_suite(file), file, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[datasets]\n", "mine.toml is not valid TOML"),
        ("", "mine.toml: datasets: there are none; add a [[datasets]] table"),
        ('[[datasets]]\nname = "igg-pseudo"\n', "mine.toml: methods: there are none"),
        (SMALL + "seed = [1]\n", "mine.toml: methods[0].seed: there is no such key"),
        ("seeds = []\n" + SMALL, "mine.toml: seeds: "),
        (SMALL.replace('"igg-pseudo"', '"igg-pseudo"\nimages = "many"'), "mine.toml: datasets[0].images: "),
        (
            SMALL.replace('"igg-pseudo"', '"igg-psuedo"'),
            "mine.toml: datasets[0]: there is no dataset called 'igg-psuedo'",
        ),
        (SMALL.replace('"igg-pseudo"', '"igg-pseudo"\nbox = 15'), "mine.toml: datasets[0]: --box must be an even"),
        (SMALL.replace('"igg-pseudo"', '"igg-pseudo"\nfolder = "d"'), "mine.toml: datasets[0]: give the name of"),
        (SMALL.replace('name = "igg-pseudo"', 'folder = "d"\nbox = 32'), "datasets[0]: a folder is taken as it is"),
        (SMALL.replace('name = "igg-pseudo"', 'folder = "nowhere"'), "nowhere/dataset.json does not exist"),
        (SMALL.replace('"consensus"', '"consensus"\noptions = { k = 1 }'), "methods[0]: there is no option 'k'"),
        (SMALL.replace('"consensus"', '"consensus"\ndevice = "tpu"'), "methods[0].device: "),
        (
            SMALL + '[[methods]]\nname = "consensus"\n',
            "methods[1]: a second one is called 'consensus'; give it a label",
        ),
        (
            SMALL.replace("[[m", '[[datasets]]\nlabel = "b"\nname = "igg-pseudo"\n[[m'),
            "are the same but for their names",
        ),
        (SMALL.replace('"igg-pseudo"', '"igg-pseudo"\nctf = "no.star"'), "no.star does not exist"),
        ('metrics = ["psnr"]\n' + SMALL, "mine.toml: metrics: there is no metric called 'psnr'"),
        ('extends = "mine.toml"\n' + SMALL, "extend each other in a circle"),
        ('extends = "quik"\n' + SMALL, "did you mean 'quick'?"),
    ],
)
def test_wrong_suites_are_told_by_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        planned(tmp_path, text)
    assert said in str(told.value)
    assert "\n" not in str(told.value).strip()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UserError, match="is not empty and holds no suite"):
        run_suite("quick", tmp_path, Machine(cores=1), lambda folder, plan: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="is a file, not a folder"):
        run_suite("quick", tmp_path / "thesis.tex", Machine(cores=1), lambda folder, plan: None)


@pytest.mark.parametrize("executor", ["nowhere", "slurm"])
def test_an_executor_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, executor: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="its plug-in is not installed; run `pip install"):
        Machine(cores=1, executor=executor).arguments()


def test_a_suite_extends_another(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("seeds = [4, 5]\n" + SMALL)
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n[[methods]]\nname = "ppca"\n')
    suite = read_suite(tmp_path / "mine.toml")
    assert suite.seeds == [4, 5]
    assert [entry.name for entry in suite.methods] == ["consensus", "ppca"]
    assert len(suite.datasets) == 1


def test_a_slow_method_may_have_seeds_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("seeds = [0, 1]\n" + SMALL + '[[methods]]\nname = "ppca"\nseeds = [5]\n')
    runs = make_plan(read_suite(file), file, "").of_kind("run")
    assert [(run.work["method"]["name"], run.work["seed"]) for run in runs] == [
        ("consensus", 0),
        ("consensus", 1),
        ("ppca", 5),
    ]


def test_paths_are_those_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SMALL.replace('name = "igg-pseudo"', 'folder = "data"'))
    assert read_suite(tmp_path / "mine.toml").datasets[0].folder == str(tmp_path / "data")


def test_shipped_suites_can_be_planned() -> None:
    plans = {name: make_plan(read_suite(file), file, "") for name, file in shipped_suites().items()}
    assert plans.keys() == {"quick", "quick-tools", "cryobench-small", "cryobench", "cryobench-tools"}
    small = plans["cryobench-small"]
    assert len(small.of_kind("data")) == 5
    runs = {(run.work["dataset"]["name"], run.work["method"]["name"]) for run in small.of_kind("run")}
    assert len(small.of_kind("run")) == 3 * len(runs)
    built_in = [name for name, method in methods.all().items() if not isinstance(method, ImportableMethod)]
    assert runs == {(data.label, name) for data in small.of_kind("data") for name in built_in}
    # What a suite of tools shares with the small one has the same keys, and is run once.
    assert small.jobs.keys() - {small.of_kind("report")[0].identity} <= plans["cryobench-tools"].jobs.keys()


def test_large_data_ask_for_more() -> None:
    def most(name: str) -> dict[str, tuple[int, int]]:
        file = find_suite(name)
        runs = make_plan(read_suite(file), file, "").of_kind("run")
        return {
            f"{run.work['dataset']['name']} {run.work['method']['name']}": (run.asks.memory_MB, run.asks.minutes)
            for run in runs
        }

    small, paper = most("cryobench-small"), most("cryobench")
    assert all(paper[cell][0] > small[cell][0] and paper[cell][1] > small[cell][1] for cell in small)


def test_jobs_ask_for_the_gpu_that_they_need(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    more = [("opusdsd", "cpu"), ("ppca", "cuda"), ("cryodrgn", "cpu")]
    file.write_text(SMALL + "".join(f'[[methods]]\nname = "{name}"\ndevice = "{device}"\n' for name, device in more))
    plan = make_plan(read_suite(file), file, "")
    run, score = ([job.asks.gpus for job in plan.of_kind(kind)] for kind in ("run", "score"))
    # consensus, opusdsd, ppca, cryodrgn; ppca is told to compute on a GPU, opusdsd cannot even make maps without.
    assert run == [0, 1, 1, 0]
    assert score == [0, 1, 0, 0]
    assert {job.asks.gpus for kind in ("data", "limits", "report") for job in plan.of_kind(kind)} == {0}


def test_files_among_the_options_are_those_beside_the_file(tmp_path: Path) -> None:
    text = SMALL.replace('"igg-pseudo"', '"igg-pseudo"\nrealism = { noise = "noise.csv", ice_nm = 3.0 }')
    text += '[[methods]]\nname = "relion-multibody"\noptions = { bodies = "bodies.star", classes = 2 }\n'
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "noise.csv").write_text("")
    (tmp_path / "bodies.star").write_text("")
    suite = read_suite(tmp_path / "mine.toml")
    assert suite.datasets[0].realism == {"noise": str(tmp_path / "noise.csv"), "ice_nm": 3.0}
    assert suite.methods[1].options == {"bodies": str(tmp_path / "bodies.star"), "classes": 2}


def test_a_profile_is_a_folder_that_can_be_looked_into(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--profile .*: give a folder with a config\.yaml"):
        Machine(cores=1, profile=str(tmp_path)).arguments()


def test_local_is_said_beside_a_profile_of_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("executor: slurm\n")
    assert "--executor" not in Machine(cores=1).arguments()
    words = Machine(cores=1, executor="local", profile=str(tmp_path)).arguments()
    assert words[words.index("--executor") + 1] == "local"
