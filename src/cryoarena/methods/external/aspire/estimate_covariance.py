"""Run by ASPIRE's own Python: principal maps and the coordinates of images from the covariance of the structure.

Nothing of cryoarena is imported. Its own command `aspire cov3d` of 0.14.3 fails, and would write nothing.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import mrcfile
import numpy as np
from aspire.basis import FBBasis3D
from aspire.covariance import CovarianceEstimator
from aspire.denoising import src_wiener_coords
from aspire.noise import WhiteNoiseEstimator
from aspire.reconstruction import MeanEstimator
from aspire.source.relion import RelionSource
from aspire.utils import eigs
from aspire.volume import Volume


def main() -> None:
    """Read a STAR file; write mean.mrc, component_0.mrc …, coordinates.npy and settings.json, which comes last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("star", type=Path)
    parser.add_argument("--pixel-size", type=float, required=True)
    parser.add_argument("--box", type=int, required=True)
    parser.add_argument("--components", type=int, required=True)
    parser.add_argument("--tolerance", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)

    print("STEP 1/5 images", flush=True)
    images = RelionSource(given.star, pixel_size=given.pixel_size, n_workers=1)
    pixel_size = given.pixel_size * images.L / given.box
    source = images.downsample(given.box).cache()
    noise = WhiteNoiseEstimator(source, batch_size=512).estimate()
    basis = FBBasis3D((given.box,) * 3)

    print("STEP 2/5 mean", flush=True)
    mean_estimator = MeanEstimator(source, basis=basis, batch_size=512)
    mean = mean_estimator.estimate(tol=given.tolerance)

    print("STEP 3/5 covariance", flush=True)
    covariance_estimator = CovarianceEstimator(source, basis=basis, mean_kernel=mean_estimator.kernel, batch_size=512)
    covariance = covariance_estimator.estimate(mean, noise, tol=given.tolerance)

    print("STEP 4/5 components", flush=True)
    vectors, values = eigs(covariance, given.components)
    components = Volume(np.transpose(vectors, (3, 0, 1, 2)).astype(mean.dtype), pixel_size=pixel_size)

    print("STEP 5/5 coordinates", flush=True)
    coordinates = src_wiener_coords(source, mean, components, values, noise)

    write_map(given.out / "mean.mrc", mean, pixel_size)
    for number in range(given.components):
        write_map(given.out / f"component_{number}.mrc", components[number], pixel_size)
    np.save(given.out / "coordinates.npy", np.asarray(coordinates.T, np.float32))
    settings = {
        "version": version("aspire"),
        "star": str(given.star.absolute()),
        "box_px": given.box,
        "tolerance": given.tolerance,
        "noise_variance": float(noise),
        "eigenvalues": np.diag(values).tolist(),
    }
    (given.out / "settings.json").write_text(json.dumps(settings, indent=1))


def write_map(path: Path, volume: Volume, pixel_size: float) -> None:
    """Write one map; ASPIRE itself would write a stack of one."""
    with mrcfile.new(path, overwrite=True) as stream:
        stream.set_data(np.asarray(volume.asnumpy()[0], np.float32))
        stream.voxel_size = pixel_size


if __name__ == "__main__":
    main()
