"""Run one method on one dataset and write the result folder, whatever happens."""

import hashlib
import json
import platform
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoarena import __version__
from cryoarena.benchmark.device import require_device
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, read_json, require_empty_output
from cryoarena.methods.base import Method, Run, methods
from cryoarena.methods.checkpoint import Checkpoint
from cryoarena.methods.result_folder import write_arrays, write_info
from cryoarena.options import parse_options
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import progress_bar


def run_method(
    name: str,
    dataset_folder: Path,
    out: Path,
    given_options: dict[str, str] | None = None,
    device: str = "cpu",
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run a method and return what result.json says; a failure of the method is a result, not an exception.

    An interrupted run goes on where it was when it is repeated with the same arguments.

    Raises:
        UserError: for wrong names, options, folders or devices.
    """
    method = methods.get(name)
    options = parse_options(method.options, given_options or {})
    require_device(device)
    dataset_info = read_json(dataset_folder / "dataset.json")
    particles = open_particles(dataset_folder)
    require_empty_output(out, overwrite)
    info: dict[str, Any] = {
        "method": asdict(method.card),
        "options": {"given": given_options or {}, "resolved": asdict(options)},
        "dataset": {"name": dataset_info["name"], "id": dataset_info["id"]},
        "seed": seed,
        "device": device,
        "versions": {
            "cryoarena": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": str(torch.__version__),
        },
    }
    # The state of an interrupted run lies beside its result, which appears only when it is complete.
    identity = hashlib.sha256(json.dumps(info, sort_keys=True, default=str).encode()).hexdigest()
    checkpoint = Checkpoint(out.with_name(f".{out.name}.checkpoint.npz"), identity)
    with atomic_path(out) as temporary:
        temporary.mkdir()
        started = time.perf_counter()
        outcome = _attempt(method, particles, options, device, seed, checkpoint, temporary)
        info |= outcome | {"wall_s": time.perf_counter() - started, "peak_memory_bytes": _peak_memory_bytes()}
        write_info(temporary, info)
    checkpoint.remove()
    return info


def _attempt(
    method: Method[Any],
    particles: ParticleSet,
    options: Any,
    device: str,
    seed: int,
    checkpoint: Checkpoint,
    folder: Path,
) -> dict[str, Any]:
    reason = method.not_applicable(particles)
    if reason is not None:
        return {"status": "not_applicable", "reason": reason, "history": []}
    try:
        with progress_bar(f"Running {method.card.name}") as report:
            reconstruction = method.fit(particles, options, Run(device, seed, report, checkpoint))
        if not np.isfinite(reconstruction.embedding).all():
            bad = int(np.flatnonzero(~np.isfinite(reconstruction.embedding).all(axis=1))[0])
            return {"status": "failed", "reason": f"the latent of row {bad} is not finite", "history": []}
        write_arrays(folder, reconstruction, particles)
    except UserError:
        raise
    except Exception as error:
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}", "history": []}
    return {"status": "ok", "reason": "", "history": reconstruction.history}


def _peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
