"""Write and read result folders (docs/formats.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.methods.base import Reconstruction, methods
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mrc import write_volume


@dataclass(frozen=True)
class Result:
    """A result folder.

    Attributes:
        folder: where it is.
        info: result.json.
        particle_id: (N,).
        embedding: (N, d).
        posterior: (N, K) class probabilities, or None.
        volumes_at: latents (k, d) -> maps (k, D, D, D).
    """

    folder: Path
    info: dict[str, Any]
    particle_id: NDArray[np.int64]
    embedding: NDArray[np.float32]
    posterior: NDArray[np.float32] | None
    volumes_at: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def write_arrays(folder: Path, reconstruction: Reconstruction, particles: ParticleSet) -> None:
    """Write everything of a result but result.json into an existing folder."""
    np.save(folder / "embedding.npy", reconstruction.embedding.astype(np.float32))
    np.save(folder / "particle_id.npy", particles.particle_id.astype(np.int64))
    if reconstruction.posterior is not None:
        np.save(folder / "posterior.npy", reconstruction.posterior.astype(np.float32))
    (folder / "model").mkdir()
    reconstruction.save(folder / "model")
    names = [f"{number:04d}.mrc" for number in range(len(reconstruction.representatives))]
    for name, latent in zip(names, reconstruction.representatives, strict=True):
        write_volume(folder / "volumes" / name, reconstruction.volumes_at(latent[None])[0], particles.pixel_size_A)
    table = pd.DataFrame({"volume": names})
    for axis in range(reconstruction.representatives.shape[1]):
        table[f"z{axis}"] = reconstruction.representatives[:, axis]
    table.to_csv(folder / "volumes.csv", index=False)


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Write result.json, the file that makes a folder a result."""
    write_json(folder / "result.json", {"format": 1, **info})


def open_result(folder: Path) -> Result:
    """Open a result folder whose run succeeded.

    Raises:
        UserError: when it is none, when the run failed, or when its arrays do not match.
    """
    info = read_json(folder / "result.json")
    if info["status"] != "ok":
        raise UserError(f"{folder} holds a run that is {info['status']}: {info['reason']}")
    embedding, particle_id = _load(folder / "embedding.npy"), _load(folder / "particle_id.npy")
    posterior = _load(folder / "posterior.npy") if (folder / "posterior.npy").exists() else None
    for name, array in (("embedding", embedding), ("posterior", posterior)):
        if array is not None and len(array) != len(particle_id):
            raise UserError(
                f"{folder / name}.npy has {len(array)} rows for {len(particle_id)} particle ids; run the method again"
            )
    reconstruction = methods.get(info["method"]["name"]).load(folder / "model")
    return Result(folder, info, particle_id, embedding, posterior, reconstruction.volumes_at)


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; run the method again") from error
    except ValueError as error:
        raise UserError(f"{path} is not a plain array file: {error}") from error
