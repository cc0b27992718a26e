"""`cryoarena bench`: run a suite."""

import os
from pathlib import Path
from typing import Annotated

import typer


def bench(
    suite: Annotated[
        str, typer.Argument(help="quick, quick-tools, cryobench-small, cryobench, cryobench-tools, or a .toml file.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for everything the suite makes.")],
    cores: Annotated[
        int, typer.Option(min=1, help="Cores of this machine; on a cluster the most that one job asks for.")
    ] = os.cpu_count() or 1,
    executor: Annotated[str | None, typer.Option(help="Executor plug-in of Snakemake, e.g. slurm.")] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of Snakemake, a folder with config.yaml.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Most jobs at a time on a cluster.")] = 100,
    retries: Annotated[int, typer.Option(min=0, help="How often a job that was killed is tried again.")] = 1,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do once more what failed or could not be applied.")
    ] = False,
) -> None:
    """Run a whole suite: make data, run methods, score, report. Run again, it goes on where it was.

    Example: [bold]cryoarena bench quick -o bench[/bold]
    """
    from cryoarena.benchmark.run_suite import run_suite
    from cryoarena.benchmark.status import suite_status
    from cryoarena.benchmark.suite_folder import SuiteFolder
    from cryoarena.benchmark.workflow import Machine
    from cryoarena.cli.live import watching

    machine = Machine(cores, retries, executor, profile, jobs)
    with watching() as watch:
        plan = run_suite(suite, out, machine, watch, retry_failed)
    folder = SuiteFolder(out)
    failed = [status for status in suite_status(folder, plan) if status.state == "failed"]
    if failed:
        print(f"{len(failed)} of {len(plan.jobs)} jobs failed: see `cryoarena status {out}`")
    print(f"scores in {folder.scores}")
    if folder.report.exists():
        print(f"open {folder.site / 'index.html' if folder.has_large_page else folder.report}")
