"""The quick suite, whole, on this machine and on a Slurm of one node."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cryoarena.benchmark import slurm
from cryoarena.errors import UserError
from one_node_slurm import missing_programs, one_node_slurm
from suites import bench, command, status


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quick") / "local"
    bench("quick", out)
    return out


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if lacking := missing_programs():
        if os.environ.get("CI"):
            pytest.fail(f"Slurm must be there in CI, but {', '.join(lacking)} is not")
        pytest.skip(f"no Slurm on this machine ({', '.join(lacking)})")
    with one_node_slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.mark.slow
def test_quick_tells_a_good_method_from_a_consensus(local: Path) -> None:
    table = pd.read_csv(local / "scores.csv").set_index(["method", "metric", "statistic"])
    moving = {m: table.loc[(m, "per-image-fsc", "standard/moving_mask/auc")] for m in ("consensus", "ppca")}
    difference = moving["ppca"]["value"] - moving["consensus"]["value"]
    assert difference > 5 * moving["ppca"]["standard_error"]
    assert (local / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_slurm_with_a_killed_job_gives_the_same_scores(local: Path, cluster: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "slurm"
    words = command("bench", "quick", "-o", out, "--cores", "2", "--executor", "slurm", "--retries", "1")
    process = subprocess.Popen(words, env=cluster, stderr=subprocess.PIPE, text=True)
    killed = ""
    while process.poll() is None:
        time.sleep(0.5)
        if not killed and list((out / ".suite" / "alive").glob("run-*.json")):
            killed = cancel_a_run(cluster)
    assert process.stderr is not None
    assert process.returncode == 0, process.stderr.read()
    assert killed
    assert "Trying to restart job" in (out / "logs" / "snakemake.log").read_text()
    assert status(out)["counts"] == status(local)["counts"]
    assert (out / "scores.csv").read_bytes() == (local / "scores.csv").read_bytes()


def cancel_a_run(cluster: dict[str, str]) -> str:
    """Cancel a job that runs a method, and return its number; nothing where there is none."""
    shown = subprocess.run(
        ["squeue", "--noheader", "--states=R", "--format=%i %k"],
        env=cluster,
        capture_output=True,
        text=True,
        check=True,
    )
    numbers = [line.split()[0] for line in shown.stdout.splitlines() if "rule_run" in line]
    if not numbers:
        return ""
    subprocess.run(["scancel", numbers[0]], env=cluster, check=True)
    return numbers[0]


@pytest.mark.parametrize(
    ("config", "has_accounting"),
    [
        ("AccountingStorageType   = accounting_storage/none\n", False),
        ("AccountingStorageType   = (null)\n", False),
        ("AccountingStorageHost   = db\nAccountingStorageType   = accounting_storage/slurmdbd\n", True),
    ],
)
def test_a_cluster_without_accounting_is_asked_by_squeue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, has_accounting: bool
) -> None:
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{config}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ("squeue" in slurm.slurm_arguments()) == (not has_accounting)


def test_no_slurm_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no scontrol here"):
        slurm.slurm_arguments()
