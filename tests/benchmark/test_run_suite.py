"""Suites, run whole: failures are contained, what is done is not done again, and any kill leaves the same table."""

import os
import random
import resource
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from suites import TINY, bench, command, status

MIXED = """
seeds = [0]
metrics = ["pmn", "per-image-fsc"]
[[datasets]]
name = "igg-pseudo"
images = 60
box = 16
conformations = 3
[[datasets]]
label = "not-public"
name = "spike-md"
preset = "paper"
images = 60
box = 16
[[methods]]
name = "consensus"
[[methods]]
name = "class3d"
options = { classes = 61 }
[[methods]]
name = "cryosparc"
"""


def jobs_of(out: Path, kind: str) -> dict[str, dict[str, Any]]:
    return {job["label"]: job for job in status(out)["jobs"] if job["kind"] == kind}


def cpu_of_children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.slow
def test_a_failure_is_a_result_and_stops_nothing_else(tmp_path: Path) -> None:
    file, out = tmp_path / "mixed.toml", tmp_path / "suite"
    file.write_text(MIXED)
    told = bench(file, out)
    assert "jobs failed: see `cryoarena status" in told
    runs = jobs_of(out, "run")
    assert runs["igg-pseudo consensus seed 0"]["state"] == "ok"
    assert "61" in runs["igg-pseudo class3d seed 0"]["reason"]
    assert "there is no data set: the published simulation" in runs["not-public consensus seed 0"]["reason"]
    assert Path(runs["igg-pseudo class3d seed 0"]["log"]).read_text()
    table = pd.read_csv(out / "scores.csv")
    states = table.groupby(["dataset", "method"])["status"].unique().map(set)
    assert states["igg-pseudo", "consensus"] == {"ok"}
    assert states["igg-pseudo", "class3d"] == states["not-public", "consensus"] == {"failed"}
    reasons = table.loc[table["status"] == "failed"].groupby("metric")["reason"].apply(set)
    assert reasons["pmn"] == reasons["per-image-fsc"]
    page = (out / "report.html").read_text()
    assert "class3d" in page

    # Nothing is left to do: neither Snakemake nor torch is loaded. In CPU time, since this machine may be busy.
    before_s = cpu_of_children_s()
    assert "done before" in bench(file, out)
    assert cpu_of_children_s() - before_s < 5

    # One more seed: what is there stays.
    before = {path: path.stat().st_mtime_ns for path in out.glob("results/*/*/result.json")}
    file.write_text(MIXED.replace("[0]", "[0, 1]"))
    bench(file, out)
    after = {path: path.stat().st_mtime_ns for path in out.glob("results/*/*/result.json")}
    assert len(after) == 2 * len(before)
    assert before.items() <= after.items()


@pytest.mark.slow
def test_a_killed_job_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    for kills, out in ((1, tmp_path / "once"), (2, tmp_path / "twice")):
        process = subprocess.Popen(command("bench", file, "-o", out, "--cores", "2", "--retries", "1"))
        killed: set[int] = set()
        while process.poll() is None:
            time.sleep(0.05)
            for path in (out / ".suite" / "alive").glob("run-*.json"):
                told = path.read_text()
                number = int(told.split('"process": ')[1].split(",")[0]) if "process" in told else 0
                if number and number not in killed and len(killed) < kills:
                    killed.add(number)
                    os.kill(number, signal.SIGKILL)
        assert process.returncode == 0
        assert len(killed) == kills
    assert jobs_of(tmp_path / "once", "run")["igg-pseudo consensus seed 0"]["state"] == "ok"
    run = jobs_of(tmp_path / "twice", "run")["igg-pseudo consensus seed 0"]
    assert run["state"] == "failed"
    assert "killed" in run["reason"]
    assert set(pd.read_csv(tmp_path / "twice" / "scores.csv")["status"]) == {"failed"}
    # It was not the fault of the method: once more, and all is as if nothing had happened.
    bench(file, tmp_path / "twice", "--retry-failed")
    assert (tmp_path / "twice" / "scores.csv").read_bytes() == (tmp_path / "once" / "scores.csv").read_bytes()


@pytest.mark.slow
def test_killed_at_any_moment_ends_in_the_same_table(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    # A method that goes on from a checkpoint.
    file.write_text(TINY + '[[methods]]\nname = "ppca"\noptions = { components = 2, iterations = 3 }\n')
    started = time.monotonic()
    bench(file, tmp_path / "undisturbed")
    whole_s = time.monotonic() - started
    out, moments = tmp_path / "killed", random.Random(7)
    kills = int(os.environ.get("CRYOARENA_TEST_KILLS", "3"))
    for number in range(kills):
        process = subprocess.Popen(
            command("bench", file, "-o", out, "--cores", "2"), start_new_session=True, stderr=subprocess.DEVNULL
        )
        # One in three kills hits the starter alone and leaves the rest at work.
        time.sleep(moments.uniform(0, 0.6 * whole_s))
        if number % 3 == 2:
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    bench_when_free(file, out)
    assert (out / "scores.csv").read_bytes() == (tmp_path / "undisturbed" / "scores.csv").read_bytes()


def bench_when_free(file: Path, out: Path) -> None:
    """Run a suite as soon as no other start is at work in its folder, which is told with the exit code 2."""
    for _ in range(600):
        done = subprocess.run(command("bench", file, "-o", out), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        assert "another start of this suite" in done.stderr
        time.sleep(0.5)
    pytest.fail("the lock was never given back")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes(tmp_path: Path, number: signal.Signals) -> None:
    file, out = tmp_path / "tiny.toml", tmp_path / "suite"
    file.write_text(TINY.replace("images = 60", "images = 20000").replace("box = 16", "box = 64"))
    # What runs in the background of a script ignores Ctrl-C, as these tests do, perhaps; other signals count.
    heeds = signal.SIG_DFL if number == signal.SIGINT else signal.SIG_IGN
    process = subprocess.Popen(
        command("bench", file, "-o", out),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, heeds),
    )
    while not list((out / ".suite").glob("alive/data-*.json")) and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    # Ctrl-C reaches all processes of a terminal, another signal the one that it is sent to.
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "repeat the command to go on" in told
    assert not living_in_group(process.pid)


def living_in_group(group: int) -> list[psutil.Process]:
    """The processes of a group; those ended are left out, which wait for a first process that never asks for them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
