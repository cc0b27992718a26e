"""What every outside program gets from the frame: statuses, its log, a folder that survives, one reader."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryoarena.benchmark import run_cell
from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Run, methods
from cryoarena.methods.consensus import ConsensusReconstruction
from cryoarena.methods.external.external_method import Done, ExternalMethod, cpu_spent_s
from cryoarena.methods.external.run_program import Command
from cryoarena.methods.external.tool import Tool
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from simulated import make_small_dataset

# Writes a line per step into its output folder; told to, it fails instead.
PROGRAM = """#!/bin/sh
echo "step $1 of 3"
if [ "$2" = "$1" ]; then echo "out of memory" >&2; exit 7; fi
if [ "$1" = 2 ]; then sleep 0.5; fi
mkdir -p output
echo $1 >> output/steps
"""

BUSY = """#!/bin/sh
while true; do
  echo "step 1 of 100"
  i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done
done
"""


@dataclass(frozen=True)
class CounterOptions:
    fail_at: int = 0


class Counter(ExternalMethod[CounterOptions]):
    card = MethodCard("counter", "Counter", "test", "Counts to three.", "none", "none")
    options = CounterOptions
    tool = Tool("counter", "Counter", "1", "count", ("count", "0"), ("count", "0"), how_to_install="write it")

    def commands(self, particles: ParticleSet, options: CounterOptions, run: Run, work: Path) -> Iterator[Command]:
        steps = work / "output" / "steps"
        done = len(steps.read_text().split()) if steps.is_file() else 0
        for step in range(done + 1, 4):
            yield Command(["count", str(step), str(options.fail_at)], cpu_s=100)
            assert cpu_spent_s(work) > 0

    def progress(self, line: str) -> Done | None:
        words = line.split()
        return Done(int(words[1]), int(words[3])) if words[:1] == ["step"] else None

    def read(self, folder: Path, particles: ParticleSet, options: Any) -> ConsensusReconstruction:
        steps = (folder / "steps").read_text().split()
        if len(steps) < 3:
            raise UserError(f"{folder} is not complete")
        rows = None if steps[-1] == "3" else np.array([5, 0, 3])
        count = len(particles) if rows is None else len(rows)
        found = ConsensusReconstruction(np.zeros((particles.box_px,) * 3, np.float32), count, [], None)
        found.rows, found.found, found.notes = rows, {"steps": steps}, ("counted",)
        return found

    def load(self, folder: Path, particles: ParticleSet) -> ConsensusReconstruction:
        return methods.get("consensus").load(folder, particles)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=60, box_px=16)


@pytest.fixture(autouse=True)
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods._entries, "counter", Counter())
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "count").write_text(PROGRAM)
    (tmp_path / "bin" / "count").chmod(0o755)
    monkeypatch.setenv("CRYOARENA_TOOL_COUNTER", str(tmp_path / "bin"))


def test_a_run_keeps_the_log_and_what_was_found_and_no_work(dataset: Path, tmp_path: Path) -> None:
    info = run_method("counter", dataset, tmp_path / "r")
    assert info["status"] == "ok"
    assert info["found"] == {"steps": ["1", "2", "3"]}
    assert info["notes"] == ["counted"]
    assert info["cpu_s"] > 0
    assert "step 3 of 3" in (tmp_path / "r" / "log.txt").read_text()
    assert not (tmp_path / ".r.work").exists()


def test_a_tool_that_is_not_there_is_not_applicable(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRYOARENA_TOOL_COUNTER")
    info = run_method("counter", dataset, tmp_path / "r")
    assert info["status"] == "not_applicable"
    assert info["reason"].startswith("Counter is not installed; write it, or name the folder")


def test_a_failure_is_a_result_with_its_log_and_goes_on_when_repeated(dataset: Path, tmp_path: Path) -> None:
    info = run_method("counter", dataset, tmp_path / "r", {"fail_at": "2"})
    assert info["status"] == "failed"
    assert "count 2 ended with exit code 7" in info["reason"]
    assert info["reason"].endswith("out of memory")
    assert "out of memory" in (tmp_path / "r" / "log.txt").read_text()
    # What was lacking is there now; the steps that were done are not done again.
    (tmp_path / "bin" / "count").write_text(PROGRAM.replace("exit 7", "true"))
    again = run_method("counter", dataset, tmp_path / "r", {"fail_at": "2"}, overwrite=True)
    assert again["found"] == {"steps": ["1", "2", "3"]}


def test_the_log_of_another_run_is_not_taken(dataset: Path, tmp_path: Path) -> None:
    run_method("counter", dataset, tmp_path / "r", {"fail_at": "1"})
    assert (tmp_path / ".r.work" / "log.txt").is_file()
    run_method("consensus", dataset, tmp_path / "r", overwrite=True)
    assert not (tmp_path / "r" / "log.txt").exists()
    assert not (tmp_path / ".r.work").exists()


def test_an_interrupted_run_goes_on_and_another_starts_anew(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: float, total: float, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    class Bar:
        def __init__(self, description: str) -> None: ...

        def __enter__(self):
            return interrupt

        def __exit__(self, *_: object) -> None: ...

    with monkeypatch.context() as patched:
        patched.setattr(run_cell, "progress_bar", Bar)
        with pytest.raises(KeyboardInterrupt):
            run_method("counter", dataset, tmp_path / "r")
    assert not (tmp_path / "r").exists()
    assert (tmp_path / ".r.work" / "output" / "steps").read_text() == "1\n"
    (tmp_path / ".r.work" / "output" / "steps").write_text("taken\n")
    assert run_method("counter", dataset, tmp_path / "r")["found"] == {"steps": ["taken", "2", "3"]}
    (tmp_path / ".r.work" / "output").mkdir(parents=True)
    (tmp_path / ".r.work" / "output" / "steps").write_text("of another run\n")
    info = run_method("counter", dataset, tmp_path / "r", seed=1, overwrite=True)
    assert info["found"] == {"steps": ["1", "2", "3"]}


def test_output_that_cannot_be_read_is_a_failed_run_and_a_refused_import(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "count").write_text(PROGRAM.replace("echo $1 >>", "echo $1 >"))
    info = run_method("counter", dataset, tmp_path / "r")
    assert info["status"] == "failed"
    assert "is not complete" in info["reason"]
    with pytest.raises(UserError, match="is not complete"):
        import_result("counter", tmp_path / ".r.work" / "output", dataset, tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_an_import_is_an_ordinary_result_and_dropped_particles_are_told(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "steps").write_text("1 2 3")
    info = import_result("counter", tmp_path / "theirs", dataset, tmp_path / "i")
    assert info["imported"]
    assert info["method"]["name"] == "counter"
    table = score_result(tmp_path / "i", dataset)
    assert "ok" in set(table["status"])
    (tmp_path / "theirs" / "steps").write_text("1 2 dropped")
    import_result("counter", tmp_path / "theirs", dataset, tmp_path / "some")
    assert len(np.load(tmp_path / "some" / "particle_id.npy")) == len(np.load(tmp_path / "some" / "embedding.npy")) == 3
    table = score_result(tmp_path / "some", dataset)
    assert set(table["status"]) == {"failed"}
    assert table["reason"].str.contains("has 3 of 60 particles").all()


def test_a_gpu_is_looked_for_without_our_torch(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi = tmp_path / "nvidia" / "nvidia-smi"
    nvidia_smi.parent.mkdir()
    monkeypatch.setenv("PATH", str(nvidia_smi.parent), prepend=":")
    for answer, code in (("No devices were found", 6), ("", 0)):
        nvidia_smi.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
        nvidia_smi.chmod(0o755)
        with pytest.raises(UserError, match="nvidia-smi lists no GPU on this machine; choose --device cpu"):
            run_method("counter", dataset, tmp_path / "r", device="cuda")
    nvidia_smi.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: 1)'\n")
    assert run_method("counter", dataset, tmp_path / "r", device="cuda")["status"] == "ok"


def test_what_cannot_be_imported_is_told(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ppca is built in and has nothing to import; choose .*cryodrgn"):
        import_result("ppca", tmp_path, dataset, tmp_path / "i")
    with pytest.raises(UserError, match="is no folder"):
        import_result("cryodrgn", tmp_path / "nothing", dataset, tmp_path / "i")


def test_progress_of_a_run_that_its_time_ends_reaches_the_end(dataset: Path, tmp_path: Path) -> None:
    class Busy(Counter):
        def commands(self, particles: ParticleSet, options: CounterOptions, run: Run, work: Path) -> Iterator[Command]:
            yield Command(["count"], cpu_s=2)

        def read(self, folder: Path, particles: ParticleSet, options: Any) -> ConsensusReconstruction:
            return ConsensusReconstruction(np.zeros((16,) * 3, np.float32), len(particles), [], None)

    (tmp_path / "bin" / "count").write_text(BUSY)
    shares: list[float] = []
    (tmp_path / "work").mkdir()
    work = WorkFolder(tmp_path / "work")
    progress = lambda done, total, note="": shares.append(done / total)  # noqa: E731
    # Another child of this process, which has spent more than the program may, is none of its time.
    other = "import time\nwhile time.process_time() < 2: pass\nprint(flush=True)\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", other], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            Busy().fit(open_particles(dataset), CounterOptions(), Run(work=work, progress=progress))
        finally:
            child.kill()
    assert shares[0] < 0.6
    assert shares == sorted(shares)
    # The end is told whatever the program said.
    assert shares[-2] > 0.8
    assert shares[-1] == 1
