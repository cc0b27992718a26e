"""Time every metric on one result of full size, e.g. of a paper-size dataset (100,000 images, 100 maps of 128³).

    cryoarena make igg-1d --preset paper -o igg1d
    python benchmarks/score.py igg1d

The result is fabricated from the truth: 10-D latents (the true coordinates and noise), a posterior over all states,
noisy maps and slightly wrong poses, so that every metric has something to judge. Target: 15 minutes on 2 cores.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.benchmark.score import JUDGED_IMAGES
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.imaging.poses import Poses
from cryoarena.metrics.base import metrics
from cryoarena.metrics.judge import Answer, judge, judged_rows
from cryoarena.progress import silent

LATENT_DIMENSIONS = 10
MINUTES = 15


def fabricated(truth: Truth, ab_initio: bool) -> Answer:
    """Return an answer of full size that is nearly right."""
    rng = np.random.default_rng(0)
    n = len(truth.particle_id)
    coordinates = truth.embedding()
    spread = coordinates.std()
    latents = 0.1 * spread * rng.standard_normal((n, LATENT_DIMENSIONS), np.float32)
    shared = min(LATENT_DIMENSIONS, coordinates.shape[1])
    latents[:, :shared] += coordinates[truth.conformation, :shared].astype(np.float32)
    posterior = rng.random((n, len(truth.volume_names)), np.float32)
    posterior[np.arange(n), truth.conformation] += 10
    posterior /= posterior.sum(axis=1, keepdims=True)

    def maps_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        maps = np.stack([truth.volume(int(conformation)) for conformation in truth.conformation[rows]])
        return maps + rng.standard_normal(maps.shape, np.float32) * maps.std()

    tilt = Rotation.from_rotvec(0.02 * rng.standard_normal((n, 3))).as_matrix()
    poses = Poses(tilt @ truth.poses.rotation_object_to_image, truth.poses.shift_A + rng.standard_normal((n, 2)))
    return Answer(latents, maps_of, posterior, poses if ab_initio else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--given-poses", action="store_true", help="a result with given poses: maps need no alignment")
    arguments = parser.parse_args()

    truth = open_truth(arguments.dataset)
    answer = fabricated(truth, not arguments.given_poses)
    rows = judged_rows(truth, JUDGED_IMAGES)
    print(f"{truth.info['name']}: {len(truth.particle_id)} images, {len(truth.volume_names)} maps")
    started = time.perf_counter()
    for name in metrics.all():
        wall, cpu = time.perf_counter(), time.process_time()
        results = judge(answer, truth, rows, silent, arguments.device, lambda card, name=name: card.name == name)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        outcome = getattr(results[name], "reason", "")
        print(f"{name:28s} {wall:8.1f} s wall {cpu:8.1f} s CPU   peak so far {peak_gb:.2f} GB  {outcome}", flush=True)
    minutes = (time.perf_counter() - started) / 60
    print(f"all metrics: {minutes:.1f} min (target {MINUTES})")


if __name__ == "__main__":
    main()
