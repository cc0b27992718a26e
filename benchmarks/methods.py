"""Speed and memory of class3d and covariance beside RELION and RECOVAR on the same images, and the cost in images.

    python benchmarks/methods.py igg1d --classes 10 --iterations 25 --rank 10 --recovar ~/recovar-env/bin/recovar
    python benchmarks/methods.py --growth class3d covariance ppca --box 32

Everything runs on one thread; CPU seconds and the peak of resident memory are those that the system counted. With
`--device cuda` our methods and RECOVAR run on the GPU, wall time is compared, and RELION is left out, as is any program
that is not found. `--growth` simulates stacks of 1,000, 4,000 and 16,000 images and runs methods on them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.files import read_json

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
GROWTH = (1000, 4000, 16000)


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    cpu_s: float
    wall_s: float
    peak_gb: float

    def __str__(self) -> str:
        """Return all with their units."""
        return f"{self.cpu_s:8.1f} CPU s, {self.wall_s:.1f} s, peak {self.peak_gb:.2f} GB"


def cost_of(command: list[str], folder: Path, log: Path) -> Cost:
    """Run a command in a folder with its output in a log; stop everything if it fails."""
    started = time.perf_counter()
    with log.open("w") as stream:
        child = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream, env=os.environ | ONE_THREAD)
        _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} failed:\n{log.read_text(errors='replace')[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - started, usage.ru_maxrss / 1e6)


def run_ours(
    method: str, dataset: Path, work: Path, options: Mapping[str, float], device: str = "cpu"
) -> tuple[Cost, int]:
    """Run one of our methods; return its cost and its number of iterations."""
    out = work / method
    command = [sys.executable, "-m", "cryoarena.cli", "run", method, str(dataset), "-o", str(out), "--overwrite"]
    command += ["--device", device]
    for name, value in options.items():
        command += ["--set", f"{name}={value}"]
    cost = cost_of(command, work, work / f"{method}.log")
    return cost, len(read_json(out / "result.json")["history"])


def compare_classes(dataset: Path, work: Path, classes: int, iterations: int, device: str) -> None:
    """Print class3d beside RELION Class3D at equal K and iterations, and what it takes until it has settled."""
    settled, done = run_ours("class3d", dataset, work, {"classes": classes}, device)
    print(f"class3d, K = {classes}, settled after {done} iterations: {settled}", flush=True)
    every = {"classes": classes, "iterations": iterations, "settled": 0}
    ours, done = run_ours("class3d", dataset, work, every, device)
    print(f"class3d, K = {classes}, {done} iterations:               {ours}", flush=True)
    if device != "cpu" or shutil.which("relion_refine") is None or shutil.which("relion_reconstruct") is None:
        return
    reference = work / "reference.mrc"
    whole = ["relion_reconstruct", "--i", "particles.star", "--o", str(reference), "--ctf"]
    cost_of(whole, dataset, work / "relion_reconstruct.log")
    (work / "relion").mkdir(exist_ok=True)
    recipe = read_json(dataset / "dataset.json")["recipe"]
    diameter_A = 0.75 * recipe["box_px"] * recipe["pixel_size_A"]
    command = ["relion_refine", "--i", "particles.star", "--ref", str(reference), "--ini_high", "60"]
    command += ["--K", str(classes), "--skip_align", "--iter", str(iterations), "--tau2_fudge", "4", "--ctf"]
    command += ["--particle_diameter", f"{diameter_A:.0f}", "--flatten_solvent", "--zero_mask", "--pad", "2"]
    command += ["--norm", "--scale", "--j", "1", "--random_seed", "1", "--o", str(work / "relion" / "run")]
    relion = cost_of(command, dataset, work / "relion_refine.log")
    print(f"RELION Class3D, K = {classes}, {iterations} iterations:        {relion}")
    print(
        f"RELION takes {relion.cpu_s / ours.cpu_s:.1f} x the CPU time of class3d at equal iterations, "
        f"{relion.cpu_s / settled.cpu_s:.1f} x until it has settled, {relion.peak_gb / ours.peak_gb:.1f} x the memory",
        flush=True,
    )


def compare_ranks(dataset: Path, work: Path, rank: int, recovar: str, budget_gb: float | None, device: str) -> None:
    """Print covariance beside `recovar pipeline` at equal box and rank."""
    ours, _ = run_ours("covariance", dataset, work, {"components": rank}, device)
    print(f"covariance, rank {rank}:                    {ours}", flush=True)
    if shutil.which(recovar) is None:
        return
    command = [recovar, "pipeline", "particles.star", "--datadir", str(dataset), "--mask", "from_halfmaps"]
    command += ["--no-downsample", "--zdim", str(rank), "-o", str(work / "recovar")]
    command += ["--accept-cpu"] if device == "cpu" else []
    command += ["--gpu-budget-gb", str(budget_gb)] if budget_gb else []
    theirs = cost_of(command, dataset, work / "recovar.log")
    print(f"recovar pipeline, the same:             {theirs}")
    ratio = theirs.cpu_s / ours.cpu_s if device == "cpu" else theirs.wall_s / ours.wall_s
    print(f"ratio: {ratio:.1f} x the time, {theirs.peak_gb / ours.peak_gb:.1f} x the memory", flush=True)


def print_growth(names: list[str], box_px: int, work: Path) -> None:
    """Print a table of cost by number of images; twice the images should take twice the time and no more memory."""
    dataset = datasets.get("igg-pseudo")
    heads = [f"{name} CPU s | iterations | peak GB" for name in names]
    print(f"| images of {box_px} px | " + " | ".join(heads) + " |")
    print("| --- |" + " --- |" * 3 * len(names))
    for images in GROWTH:
        folder = work / f"images-{images}"
        with redirect_stderr(StringIO()):
            make_dataset(dataset, resolve_settings(dataset, "small", images, box_px), Sources(), folder)
        runs = [run_ours(name, folder, work, {}) for name in names]
        cells = [f"{cost.cpu_s:.0f} | {done} | {cost.peak_gb:.2f}" for cost, done in runs]
        print(f"| {images} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?", help="folder from `cryoarena make`")
    parser.add_argument("--classes", type=int, help="K of class3d and RELION Class3D")
    parser.add_argument("--iterations", type=int, default=25, help="of class3d, at most, and RELION Class3D")
    parser.add_argument("--rank", type=int, help="of covariance and RECOVAR")
    parser.add_argument("--recovar", default="recovar", help="its executable")
    parser.add_argument(
        "--recovar-gb", type=float, help="memory that RECOVAR plans with; half of what is free by default"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda, of our methods and RECOVAR")
    parser.add_argument("--growth", nargs="+", metavar="METHOD", help="methods of the table by number of images")
    parser.add_argument("--box", type=int, default=32, help="of the images of that table")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="cryoarena-methods-") as name:
        work = Path(name)
        if arguments.dataset and arguments.classes:
            compare_classes(
                arguments.dataset.resolve(), work, arguments.classes, arguments.iterations, arguments.device
            )
        if arguments.dataset and arguments.rank:
            dataset, budget_gb = arguments.dataset.resolve(), arguments.recovar_gb
            compare_ranks(dataset, work, arguments.rank, arguments.recovar, budget_gb, arguments.device)
        if arguments.growth:
            print_growth(arguments.growth, arguments.box, work)


if __name__ == "__main__":
    main()
