"""A small bench made by hand: one dataset with a turning arm, and two results on it."""

import base64
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.dataset_folder import write_tables
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.report.maps import project

BOX, PIXEL_A, CONFORMATIONS, PARTICLES = 48, 4.0, 6, 200
# States at whose latents ppca wrote maps of its own.
OFFERED = (3, 0, 5)
DATASET_ID = "ab" * 32


def unpack(text: str, dtype: type) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype)


def write_mrc(path: Path, data: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path, data=data.astype(np.float32), overwrite=True) as file:
        file.voxel_size = PIXEL_A


def blobs(centres_px: np.ndarray, sigma_px: float = 1.6) -> np.ndarray:
    """Sum of Gaussians at (x, y, z) from the origin voxel."""
    volume = np.zeros((BOX,) * 3)
    for x, y, z in np.rint(centres_px).astype(int) + BOX // 2:
        volume[z, y, x] += 1
    return ndimage.gaussian_filter(volume, sigma_px).astype(np.float32) * 60


def conformation(angle_deg: float) -> np.ndarray:
    """A stem, one still arm and one arm that turns about the stem."""
    steps = np.arange(0, 13, 2.0)
    stem = np.stack([0 * steps, -steps, 0 * steps], 1)
    arm = np.stack([0.8 * steps, 0.8 * steps, 0.15 * steps], 1)
    turned = arm @ Rotation.from_euler("y", 150 + angle_deg, degrees=True).as_matrix().T
    return blobs(np.concatenate([stem, arm, turned]))


def write_dataset(folder: Path) -> None:
    rng = np.random.default_rng(1)
    angles = np.arange(CONFORMATIONS) * 360 / CONFORMATIONS
    volumes = [conformation(angle) for angle in angles]
    for number, volume in enumerate(volumes):
        write_mrc(folder / f"truth/volumes/{number:04d}.mrc", volume)
    union = np.max(volumes, axis=0) > 0.5
    write_mrc(folder / "truth/mask.mrc", union)
    write_mrc(folder / "truth/mask_moving.mrc", _soft_moving_mask(volumes))
    table = pd.DataFrame(
        {
            "conformation": np.arange(CONFORMATIONS),
            "cv_psi": angles,
            "population": 1 / CONFORMATIONS,
            "volume": [f"{number:04d}.mrc" for number in range(CONFORMATIONS)],
        }
    )
    table.to_parquet(folder / "truth/conformations.parquet")
    which = np.repeat(np.arange(CONFORMATIONS), PARTICLES // CONFORMATIONS + 1)[:PARTICLES]
    rotations = Rotation.random(PARTICLES, rng=rng)
    shifts_A = rng.uniform(-8, 8, (PARTICLES, 2))
    images = np.stack(
        [project(volumes[c], r, s / PIXEL_A) for c, r, s in zip(which, rotations.as_matrix(), shifts_A, strict=True)]
    )
    images += rng.normal(0, 4 * images.std(), images.shape)
    (folder / "particles").mkdir()
    with mrcfile.new(folder / "particles/0000.mrcs", data=images.astype(np.float32)) as file:
        file.set_image_stack()
        file.voxel_size = PIXEL_A
    truth = {"particle_id": np.arange(PARTICLES), "conformation": which, "cv_psi": angles[which]}
    matrices = rotations.as_matrix().reshape(PARTICLES, 9)
    truth |= {f"rotation_object_to_image_{k // 3}{k % 3}": matrices[:, k] for k in range(9)}
    truth |= {"shift_x_A": shifts_A[:, 0], "shift_y_A": shifts_A[:, 1]}
    truth |= {"junk": np.where(np.arange(PARTICLES) % 10, "", "noise"), "ice_nm": rng.uniform(20, 40, PARTICLES)}
    pd.DataFrame(truth).to_parquet(folder / "truth/particles.parquet")
    one = np.ones(PARTICLES)
    defocus_A = rng.uniform(1e4, 2.5e4, PARTICLES)
    ctf = CtfParameters(defocus_A, defocus_A, 0 * one, 300 * one, 2.7 * one, 0.1 * one, 0 * one, 0 * one)
    particles = ParticleSet(
        np.arange(PARTICLES),
        BOX,
        PIXEL_A,
        1,
        (folder / "particles/0000.mrcs",),
        np.zeros(PARTICLES, np.int64),
        np.arange(PARTICLES),
        Poses(rotations.as_matrix(), shifts_A),
        ctf,
    )
    write_tables(folder, particles)
    _write_json(folder / "dataset.json", _card())
    for name, shift in (("floor", 0.0), ("ceiling", 0.3)):
        description = {"floor": "consensus of all images", "ceiling": "known-label oracle"}[name]
        _write_json(
            folder / f"truth/limits/{name}.json",
            {
                "description": description,
                "scores": {},
                "curves": {key: curve | {"observer": description} for key, curve in _curves(0.05 + shift).items()},
            },
        )


def _soft_moving_mask(volumes: list[np.ndarray]) -> np.ndarray:
    swept = (np.ptp(volumes, axis=0) > 0.4) & (np.min(volumes, axis=0) < 0.2)
    return np.clip(2 * ndimage.gaussian_filter(swept.astype(np.float32), 1.0), 0, 1)


def _card() -> dict[str, Any]:
    recipe = {"preset": "tiny", "seed": 1, "images": PARTICLES, "box_px": BOX, "pixel_size_A": PIXEL_A}
    recipe |= {"snr": 0.06, "snr_box_px": BOX, "noise_sigma": 4.0, "signal_variance": 1.0, "contrast_sign": 1}
    return {
        "format": 1,
        "id": DATASET_ID,
        "name": "turning-arm",
        "card": {"name": "turning-arm", "title": "A blob model with one turning arm"},
        "recipe": recipe,
        "generator": {"cryoarena": "0.1.0"},
        "cvs": [{"name": "psi", "unit": "deg", "period": 360}],
        "notes": ["The arm passes through the still arm near ψ = 210°."],
        "files": {},
    }


def _curves(quality: float) -> dict[str, Any]:
    frequency = np.linspace(0, 1 / (2 * PIXEL_A), BOX // 2)
    curves = {}
    for region, gain in (("moving_mask", 0.0), ("mask", 0.15), ("no_mask", 0.1)):
        mean = 1 / (1 + np.exp((frequency - 0.03 - 0.15 * (quality + gain)) * 90))
        curves[f"per-image-fsc/standard/{region}"] = {
            "x": (frequency * PIXEL_A).tolist(),
            "mean": mean.tolist(),
            "spread": (0.08 * np.sqrt(mean * (1 - mean)) + 0.02).tolist(),
            "x_label": "spatial frequency (cycles/px)",
            "y_label": "FSC",
        }
    return curves


def _class_curves(quality: float) -> dict[str, Any]:
    """Every state partly in the class of the next one, never of the one before; state 5 partly in no matched class."""
    share = np.diag(np.full(CONFORMATIONS, quality)) + np.diag(np.full(CONFORMATIONS - 1, 1 - quality), 1)
    cells = {"mean": share.ravel().tolist(), "spread": (0.1 * share).ravel().tolist()}
    once = {"mean": share.ravel().tolist(), "spread": [0.0] * CONFORMATIONS**2}
    axes = {"x": list(range(CONFORMATIONS**2)), "x_label": "true state × K + matched state", "y_label": "share"}
    states = list(range(CONFORMATIONS))
    recall = {"x": states, "mean": share.diagonal().tolist(), "spread": [], "x_label": "true state", "y_label": ""}
    return {
        "pose-error/rotation": _histogram(40 - 30 * quality),
        "class-agreement/recall": recall,
        "class-agreement/confusion": axes | cells,
        "posterior-class-agreement/confusion": axes | once,
    }


def _histogram(mean_deg: float) -> dict[str, Any]:
    """Exponential errors in bins of 5°; the last holds all beyond 175°."""
    beyond = np.append(np.exp(-np.arange(0, 180, 5) / mean_deg), 0)
    share = 100 * -np.diff(beyond)
    axes = {"x_label": "rotation error (°)", "y_label": "images (%)"}
    return axes | {"x": np.arange(2.5, 180, 5).tolist(), "mean": share.tolist(), "spread": (0.1 * share).tolist()}


def write_result(folder: Path, method: str, title: str, latent: np.ndarray, quality: float) -> None:
    rng = np.random.default_rng(len(method))
    folder.mkdir(parents=True)
    order = rng.permutation(PARTICLES)  # rows are matched by id, never by order
    np.save(folder / "embedding.npy", latent[order].astype(np.float32))
    np.save(folder / "particle_id.npy", order.astype(np.int64))
    angles = np.arange(CONFORMATIONS) * 360 / CONFORMATIONS
    truth = np.stack([conformation(angle) for angle in angles])
    mean = truth.mean(axis=0)
    for number in range(CONFORMATIONS):
        mix = mean + quality * (truth[number] - mean)
        noisy = ndimage.gaussian_filter(mix, 0.8) + ndimage.gaussian_filter(rng.normal(0, 0.4, mean.shape), 0.9)
        write_mrc(folder / f"comparison/conformation_{number:04d}.mrc", 7 * (noisy if quality else mean))
        if quality and number in OFFERED:
            write_mrc(folder / f"volumes/{OFFERED.index(number):04d}.mrc", 7 * noisy)
    if quality:
        offered = on_circle(np.deg2rad(angles[list(OFFERED)]))
        table = pd.DataFrame(offered, columns=["z0", "z1", "z2"])
        table.insert(0, "volume", [f"{number:04d}.mrc" for number in range(len(OFFERED))])
        table.to_csv(folder / "volumes.csv", index=False)
    rows = []
    for statistic, floor, ceiling in (
        ("standard/mask/auc", 0.34, 0.43),
        ("standard/moving_mask/auc", 0.21, 0.38),
        ("standard/no_mask/auc", 0.29, 0.33),
        ("cryobench/mask/auc", 0.35, 0.44),
    ):
        value = floor + quality * (ceiling - floor)
        rows.append(("per-image-fsc", statistic, value, 0.006, 100, "ok", "", floor, ceiling, "higher"))
    if quality:
        rows.append(("pmn", "standard/mean_1_10", 62.0, 1.1, PARTICLES, "ok", "", 5.5, 97.0, "higher"))
    else:
        rows.append(("pmn", "", None, None, None, "not_applicable", "the embedding is constant", None, None, "higher"))
    names = ["metric", "statistic", "value", "standard_error", "n", "status", "reason", "floor", "ceiling"]
    table = pd.DataFrame(rows, columns=[*names, "direction"])
    table.insert(0, "dataset", "turning-arm")
    table.insert(1, "method", method)
    table.insert(2, "run", folder.name)
    table["normalised"] = (table["value"] - table["floor"]) / (table["ceiling"] - table["floor"])
    table["metric_version"] = 1
    table["unit"] = table["metric"].map({"per-image-fsc": "cycles/px", "pmn": "%"}).where(table["status"] == "ok")
    table.to_csv(folder / "scores.csv", index=False)
    _write_json(folder / "comparison/curves.json", _curves(0.05 + 0.3 * quality) | _class_curves(quality))
    history = [{"iteration": i, "log_likelihood": -1e5 * (1 + np.exp(-i / 4))} for i in range(20)]
    _write_json(folder / "result.json", result_card(method, title) | {"history": history if quality else []})


def result_card(method: str, title: str) -> dict[str, Any]:
    return {
        "format": 1,
        "method": {"name": method, "title": title, "family": "linear", "citation": "Tagare et al. 2015"},
        "options": {"given": {"z_dim": 3}, "resolved": {"z_dim": 3, "iterations": 20, "mask": None}},
        "dataset": {"name": "turning-arm", "id": DATASET_ID},
        "seed": 7,
        "device": "cpu",
        "wall_s": 41.3,
        "peak_memory_bytes": 612_000_000,
        "versions": {"cryoarena": "0.1.0", "torch": "2.13.0"},
        "status": "ok",
        "reason": "",
        "history": [],
    }


def _write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def on_circle(angle: np.ndarray) -> np.ndarray:
    """Return the latents of states at angles (n,)."""
    return np.stack([np.cos(angle), np.sin(angle), 0.3 * np.cos(2 * angle)], 1)


def write_bench(folder: Path) -> Path:
    write_dataset(folder / "datasets" / "turning-arm")
    angle = np.deg2rad(pd.read_parquet(folder / "datasets/turning-arm/truth/particles.parquet")["cv_psi"])
    rng = np.random.default_rng(3)
    circle = on_circle(angle.to_numpy())
    circle = circle + rng.normal(0, 0.17, circle.shape)
    results = folder / "results" / "turning-arm"
    write_result(results / "ppca", "ppca", "Probabilistic PCA", circle, 0.7)
    write_result(results / "consensus", "consensus", "Consensus", np.zeros((PARTICLES, 1)), 0.0)
    return folder


def add_dataset(bench: Path, name: str) -> None:
    """Copy dataset and results of the bench under another name and id."""
    for folder in ("datasets", "results"):
        shutil.copytree(bench / folder / "turning-arm", bench / folder / name)
    own = {"id": name, "name": name}
    for path in [bench / "datasets" / name / "dataset.json", *bench.glob(f"results/{name}/*/result.json")]:
        info = json.loads(path.read_text())
        _write_json(path, info | (own if "recipe" in info else {"dataset": own}))
