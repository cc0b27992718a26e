"""Run one method on one dataset and write the result folder, whatever happens."""

import hashlib
import json
import logging
import platform
import resource
import shutil
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
from cryoarena.methods.base import Method, Reconstruction, Run, methods
from cryoarena.methods.checkpoint import Checkpoint
from cryoarena.methods.external.external_method import LOG, ExternalMethod
from cryoarena.methods.external.run_program import ProgramFailed
from cryoarena.methods.result_folder import write_arrays
from cryoarena.methods.result_info import write_info
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.options import as_json, parse_options
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
    require_device(device, our_torch=not isinstance(method, ExternalMethod))
    dataset_info = read_json(dataset_folder / "dataset.json")
    particles = open_particles(dataset_folder)
    require_empty_output(out, overwrite, [dataset_folder])
    info: dict[str, Any] = {
        "method": asdict(method.card),
        "options": {"given": given_options or {}, "resolved": as_json(options)},
        "dataset": {"name": dataset_info["name"], "id": dataset_info["id"]},
        "seed": seed,
        "device": device,
        "versions": versions(),
    }
    # The state of an interrupted run lies beside its result, which appears only when it is complete.
    identity = hashlib.sha256(json.dumps(info, sort_keys=True, default=str).encode()).hexdigest()
    checkpoint = Checkpoint(out.with_name(f".{out.name}.checkpoint.npz"), identity)
    work = WorkFolder(out.with_name(f".{out.name}.work"), identity)
    resumed = checkpoint.load() is not None or work.has(".")
    with atomic_path(out) as temporary:
        temporary.mkdir()
        started, cpu_before_s = time.perf_counter(), _cpu_s()
        with progress_bar(f"Running {name}") as report:
            outcome = _attempt(method, particles, options, Run(device, seed, report, checkpoint, work), temporary)
        info |= outcome
        wall_s, cpu_s = time.perf_counter() - started, _cpu_s() - cpu_before_s
        # What was spent before an interruption nobody knows.
        info |= {"wall_s": None, "cpu_s": None} if resumed else {"wall_s": wall_s, "cpu_s": cpu_s}
        info["peak_memory_bytes"] = _peak_memory_bytes()
        _copy_log(work, temporary)
        write_info(temporary, info)
    checkpoint.remove()
    # What failed for want of memory or disk can go on when it is repeated.
    if info["status"] == "ok":
        work.remove()
    return info


def versions() -> dict[str, str]:
    """Return the versions that a result was made with."""
    return {
        "cryoarena": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }


def _attempt(method: Method[Any], particles: ParticleSet, options: Any, run: Run, folder: Path) -> dict[str, Any]:
    reason = method.not_applicable(particles)
    if reason is not None:
        return {"status": "not_applicable", "reason": reason, "history": []}
    try:
        reconstruction = method.fit(particles, options, run)
        if not np.isfinite(reconstruction.embedding).all():
            bad = int(np.flatnonzero(~np.isfinite(reconstruction.embedding).all(axis=1))[0])
            return {"status": "failed", "reason": f"the latent of row {bad} is not finite", "history": []}
        write_arrays(folder, reconstruction, particles)
    except UserError:
        raise
    except ProgramFailed as error:
        return {"status": "failed", "reason": str(error), "history": []}
    except Exception as error:
        # A suite has it in the log of the job; on the command line the sentence is enough.
        logging.getLogger(__name__).debug("%s failed", method.card.name, exc_info=True)
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}", "history": []}
    return outcome_of(reconstruction)


def outcome_of(reconstruction: Reconstruction) -> dict[str, Any]:
    """Return what result.json says of a reconstruction that succeeded."""
    outcome: dict[str, Any] = {"status": "ok", "reason": "", "history": reconstruction.history}
    if reconstruction.found:
        outcome["found"] = dict(reconstruction.found)
    if reconstruction.notes:
        outcome["notes"] = list(reconstruction.notes)
    return outcome


def _copy_log(work: WorkFolder, folder: Path) -> None:
    if work.path is not None and work.has(LOG):
        shutil.copyfile(work.path / LOG, folder / LOG)


# Outside programs are children of this process.
_WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _peak_memory_bytes() -> int:
    """Return the largest resident memory of this process, or of one that it started, so far."""
    peak = max(resource.getrusage(whose).ru_maxrss for whose in _WHOSE)
    return peak if sys.platform == "darwin" else 1024 * peak


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of those it started that have ended."""
    usages = [resource.getrusage(whose) for whose in _WHOSE]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
