"""Cost of the heavy metrics next to the peers'. Run: OMP_NUM_THREADS=1 python benchmarks/metrics.py [task …].

Tasks: fsc, pmn, imbalance, and large, every embedding metric on 100,000 and on 1,000,000 images (large NAME N: one of
them). Each runs in a process of its own, so that its peak memory is its own; imports are in the memory but not in the
time. Where CRYOARENA_DADAPY_PYTHON names a Python that has DADApy, it is run too, on the same arrays: else its figures
are those measured once (reference machine: 2 cores).
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cryoarena.metrics.class_agreement import class_agreement
from cryoarena.metrics.cv_regression import cv_regression
from cryoarena.metrics.embedding_space import embedding_space
from cryoarena.metrics.entanglement import entanglement
from cryoarena.metrics.imbalance import imbalance
from cryoarena.metrics.imbalance_cryobench import imbalance_cryobench
from cryoarena.metrics.information_imbalance import information_imbalance
from cryoarena.metrics.jitter import jitter
from cryoarena.metrics.neighborhood_similarity import (
    matching_neighbors,
    matching_neighbors_cryobench,
    neighborhood_similarity,
)
from cryoarena.metrics.trustworthiness import trustworthiness_and_continuity
from cryoarena.volumes.fsc import correlate, fsc_auc

# CPU seconds and peak GB of the peers, imports not timed; pMN at this size is extrapolated from one k and split
PEER_FSC = {"CryoBench": (11.7, 2.04), "cryoDRGN 4.3.1": (11.8, 2.04)}
PEER_PMN = {"CryoBench": (6.7 * 3600, 15.0)}
PEER_IMBALANCE = {1: {"DADApy 0.3.4, once": (6.2, 0.42)}, 30: {"DADApy 0.3.4, once": (8.1, 0.43)}}

REPEATS = 3
LARGE_IMAGES = (100_000, 1_000_000)

DADAPY_SCRIPT = """
import resource, sys, time
import numpy as np
from dadapy.metric_comparisons import MetricComparisons
spaces = np.load(sys.argv[1])
latent, truth = spaces["latent"], spaces["truth"]
repeats = int(sys.argv[3])
start = time.process_time()
for _ in range(repeats):
    both_ways = MetricComparisons(latent, maxk=len(latent) - 1, n_jobs=1).return_information_imbalace(
        truth, k=int(sys.argv[2]), subset_size=2000
    )
cpu_s = (time.process_time() - start) / repeats
print(cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, *(x[0] for x in both_ways))
"""


def measured(task: Callable[[], Any], repeats: int = 1) -> tuple[Any, float]:
    """Return what the task returns and its mean CPU seconds."""
    start = time.process_time()
    for _ in range(repeats):
        result = task()
    return result, (time.process_time() - start) / repeats


def peak_gb() -> float:
    """Return the peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def report(what: str, cpu_s: float, peers: dict[str, tuple[float, float]]) -> None:
    """Print our figures, and the peers' as multiples of ours."""
    print(f"{what}: {cpu_s:.2f} CPU s, peak {peak_gb():.2f} GB")
    for peer, (peer_s, peer_gb) in peers.items():
        times = f"{peer_s / cpu_s:.1f} x the time, {peer_gb / peak_gb():.1f} x the memory"
        print(f"    {peer}: {peer_s:.1f} CPU s, peak {peer_gb:.2f} GB: {times}")


def spaces(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a latent (N, 8) and the true circle (N, 2) of images of 100 conformations, jittered as by CryoBench."""
    rng = np.random.default_rng(0)
    angle = np.radians(np.arange(images) * 100 // images * 3.6 + rng.uniform(-0.05, 0.05, images))
    truth = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    latent = np.hstack([truth, np.zeros((images, 6))]) + rng.normal(scale=0.1, size=(images, 8))
    return latent, truth


def fsc_task() -> None:
    """Both variants of the masked FSC of a 256³ pair."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((256,) * 3, dtype=np.float32)
    b = a + rng.standard_normal((256,) * 3, dtype=np.float32)
    mask = np.ones_like(a)

    def run() -> list[float]:
        shells = correlate(a, b, mask)
        return [fsc_auc(*shells.standard()), fsc_auc(*shells.cryobench())]

    areas, cpu_s = measured(run, REPEATS)
    report("FSC, both variants, 256³ pair", cpu_s, PEER_FSC)
    print("    AUC standard {:.4f}, cryobench {:.4f}".format(*areas))


def pmn_task() -> None:
    """pMN of 100,000 images by the authors' protocol, every point queried: five splits, k to 20 %."""
    latent, truth = spaces(100_000)
    found, cpu_s = measured(lambda: matching_neighbors_cryobench(latent, truth, max_queries=100_000))
    report("pMN by the authors' protocol, N = 100,000, all radii", cpu_s, PEER_PMN)
    print(f"    at k = 200: {found.percent[:, 0].mean():.2f} %")
    found, cpu_s = measured(lambda: matching_neighbors(latent, truth))
    report("pMN standard, N = 100,000, 2,000 queries", cpu_s, {})


def imbalance_task() -> None:
    """Information imbalance of 10,000 images both ways.

    Values may differ from DADApy's in the last digits: it finds neighbours by expanded squares, whose rounding
    confuses distances that are small against the coordinates, as those between jittered images are.
    """
    latent, truth = spaces(10_000)
    a, b = embedding_space(latent, "the latent"), embedding_space(truth, "the truth")
    for k, peers in PEER_IMBALANCE.items():
        found, cpu_s = measured(lambda k=k: imbalance_cryobench(a, b, k=(k,)), REPEATS)
        values = found.forward.mean(), found.backward.mean()
        live, peer_values = _dadapy(latent, truth, k)
        report(f"information imbalance, N = 10,000, both ways, k = {k}", cpu_s, peers | live)
        print("    {:.10f} {:.10f}".format(*values), "DADApy: {:.10f} {:.10f}".format(*peer_values) if live else "")
    _, cpu_s = measured(lambda: imbalance_cryobench(a, b), REPEATS)
    report("information imbalance, N = 10,000, both ways, k = 1, 3, 10, 30 at once", cpu_s, {})
    _, cpu_s = measured(lambda: imbalance(a, b, seed=0), REPEATS)
    report("information imbalance, standard, N = 10,000, 2,000 queries", cpu_s, {})


def _dadapy(latent: np.ndarray, truth: np.ndarray, k: int) -> tuple[dict[str, tuple[float, float]], list[float]]:
    python = os.environ.get("CRYOARENA_DADAPY_PYTHON")
    if not python:
        return {}, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spaces.npz"
        np.savez(path, latent=latent, truth=truth)
        command = [python, "-W", "ignore", "-c", DADAPY_SCRIPT, str(path), str(k), str(REPEATS)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    cpu_s, peer_gb, *values = map(float, output.split())
    return {"DADApy, now": (cpu_s, peer_gb)}, values


def large_task(name: str, images: int) -> None:
    """One embedding metric on images of 100 conformations in ten dimensions."""
    rng = np.random.default_rng(1)
    state = np.arange(images) * 100 // images
    angle = 3.6 * state
    truth, jittered = (
        np.stack([np.cos(np.radians(a)), np.sin(np.radians(a))], axis=1) for a in (angle, jitter(angle, 0.05, seed=0))
    )
    latent = rng.normal(scale=0.1, size=(images, 10)).astype(np.float32)
    latent[:, :2] += truth
    pose, ctf = rng.normal(size=(images, 9)), rng.normal(size=(images, 4))
    _, cpu_s = measured(
        {
            "pMN": lambda: neighborhood_similarity(latent, truth, truth),
            "information imbalance": lambda: information_imbalance(latent, truth, jittered),
            "entanglement": lambda: entanglement(latent, pose, ctf),
            "trustworthiness and continuity": lambda: trustworthiness_and_continuity(latent, truth),
            "class agreement": lambda: class_agreement(latent, state, seed=0),
            "CV regression": lambda: cv_regression(latent, {"angle": angle}, {"angle": 360.0}),
        }[name]
    )
    report(f"{name}, N = {images:,} x 10-D", cpu_s, {})


TASKS = {"fsc": fsc_task, "pmn": pmn_task, "imbalance": imbalance_task}
LARGE = (
    "pMN",
    "information imbalance",
    "entanglement",
    "trustworthiness and continuity",
    "class agreement",
    "CV regression",
)


def main() -> None:
    names = sys.argv[1:] or [*TASKS, "large"]
    if names[0] == "large" and len(names) > 1:
        large_task(names[1], int(names[2]))
        return
    if len(names) == 1 and names[0] in TASKS:
        TASKS[names[0]]()
        return
    for name in names:
        runs = [[name, metric, str(n)] for n in LARGE_IMAGES for metric in LARGE] if name == "large" else [[name]]
        for arguments in runs:
            subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    main()
