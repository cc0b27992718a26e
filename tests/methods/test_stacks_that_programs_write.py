"""What stacks of other programs are like: every image normalised to mean zero, or damaged."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryoarena.benchmark.run_cell import run_method
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.methods.base import Run, methods
from cryoarena.metrics.class_agreement import class_agreement
from cryoarena.particles.dataset_folder import open_particles
from simulated import make_small_dataset


@pytest.mark.parametrize("name", ["class3d", "ppca"])
def test_images_of_mean_zero_are_as_good(tmp_path: Path, name: str) -> None:
    """That the mean of an image is exactly zero does not mean that there is no noise at zero frequency."""
    folder = make_small_dataset(tmp_path / "d", images=400, box_px=32, snr=0.3)
    method = methods.get(name)
    options = method.options(**({"classes": 8} if name == "class3d" else {"components": 4, "iterations": 12}))
    truth = open_truth(folder)
    agreement = []
    for normalised in (False, True):
        if normalised:
            for path in sorted((folder / "particles").glob("*.mrcs")):
                with mrcfile.open(path, "r+") as stack:
                    images = stack.data - stack.data.mean(axis=(1, 2), keepdims=True)
                    stack.set_data((images / images.std(axis=(1, 2), keepdims=True)).astype(np.float32))
        found = method.fit(open_particles(folder), options, Run())
        assert np.isfinite(found.embedding).all()
        score = class_agreement(found.embedding, truth.state, 0).scores["standard/ari"].value
        agreement.append(score)
    assert agreement[1] > agreement[0] - 0.1, agreement


def test_a_damaged_image_fails_the_run_and_is_named(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=60, box_px=16)
    with mrcfile.open(next((folder / "particles").glob("*.mrcs")), "r+") as stack:
        stack.data[7, 3, 4] = np.nan
    particles = open_particles(folder)
    number = particles.particle_id[7]
    with pytest.raises(UserError, match=f"the image of particle {number} holds values that are not finite"):
        run_method("consensus", folder, tmp_path / "r")


@pytest.mark.parametrize(
    ("name", "option"), [("ppca", "components"), ("covariance", "components"), ("covariance", "pivots")]
)
def test_options_of_zero_fail_before_anything_is_computed(tmp_path: Path, name: str, option: str) -> None:
    folder = make_small_dataset(tmp_path / "d", images=60, box_px=16)
    with pytest.raises(UserError, match="at least 1"):
        run_method(name, folder, tmp_path / "r", {option: "0"})
