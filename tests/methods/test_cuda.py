"""Every built-in method on CUDA against the same on a CPU, and results whose maps are made on CUDA."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryoarena.methods.base import Run, methods
from cryoarena.methods.class3d import Class3dOptions
from cryoarena.methods.consensus import ConsensusOptions
from cryoarena.methods.covariance import CovarianceOptions
from cryoarena.methods.ppca import PpcaOptions
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from simulated import make_small_dataset

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

OPTIONS = {
    "consensus": ConsensusOptions(),
    "class3d": Class3dOptions(classes=3),
    "ppca": PpcaOptions(components=3, iterations=10),
    "covariance": CovarianceOptions(components=3, pivots=40, refinements=2),
}


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> ParticleSet:
    return open_particles(make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=800, snr=0.05))


@pytest.mark.parametrize("name", OPTIONS)
def test_cuda_gives_what_a_cpu_does(name: str, particles: ParticleSet, tmp_path: Path) -> None:
    method: Any = methods.get(name)
    on_cpu, on_cuda = (method.fit(particles, OPTIONS[name], Run(device=device)) for device in ("cpu", "cuda"))
    rows = np.arange(0, len(particles), 100)
    expected, found = (each.volumes_at(each.embedding[rows]) for each in (on_cpu, on_cuda))
    difference = np.linalg.norm((found - expected).reshape(len(rows), -1), axis=1)
    assert (difference < 0.03 * np.linalg.norm(expected.reshape(len(rows), -1), axis=1)).all()
    if on_cpu.posterior is not None:
        np.testing.assert_allclose(on_cuda.posterior, on_cpu.posterior, atol=0.02)
    # Read back, maps that are made when they are asked for are made on either device.
    on_cuda.save(tmp_path)
    again = method.load(tmp_path, particles)
    for device in ("cpu", "cuda"):
        of_device = again.on_device(device).volumes_at(on_cuda.embedding[rows[:2]])
        assert np.linalg.norm(of_device - found[:2]) < 0.01 * np.linalg.norm(found[:2])
