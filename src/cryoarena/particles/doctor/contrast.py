"""Whether protein is bright or dark."""

import torch
from torch import Tensor

from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.doctor.reading import Reading
from cryoarena.particles.doctor.sampled_images import SampledImages
from cryoarena.volumes.slicing import soft_sphere

CHECK = "contrast"
_LEAST_BLOB_Z, _CONTRADICTING_BLOB_Z = 8.0, 4.0
_LEAST_SKEWNESS = 0.3
# Standard deviation of the blob over the box.
_BLOB_SIGMA = 0.1
REMEDY = (
    "multiply the images by -1 (relion_image_handler --multiply_constant -1), or tell the sign: contrast_sign in "
    "dataset.json, blob/sign in a .cs file, --uninvert-data to cryoDRGN"
)


def measure_blob(images: SampledImages, reading: Reading) -> float:
    """Return by how many standard errors n images agree with the CTF times a bright blob in the middle.

    No rotations are needed. It is negative where protein has the opposite sign of what is stated.
    """
    points = images.points
    template = torch.exp(-2 * (torch.pi * _BLOB_SIGMA) ** 2 * (points.kx**2 + points.ky**2))
    agreement = (reading.centred(images).real * reading.ctf_values(images) * template).sum(dim=1).double()
    error = float(agreement.std()) / len(images) ** 0.5
    return float(agreement.mean()) / error if error > 0 else 0.0


def check_contrast(blob_z: float, half_maps: Tensor | None, stated_sign: int) -> Finding:
    """Tell the sign of the density from the skewness of the maps or, without maps, from the middle of the images.

    Protein is compact: few voxels are far from the mean, and they are dense. Where the middle of the images clearly
    speaks against the maps, it cannot be told.

    Args:
        blob_z: as `measure_blob` has it.
        half_maps: (2, S, S, S), or None where poses do not explain the images.
        stated_sign: +1 where the table calls protein bright.
    """
    evidence = {"blob_z": blob_z}
    measured = f"blob z = {blob_z:+.1f}"
    sign = _sign(blob_z, _LEAST_BLOB_Z)
    if half_maps is not None:
        skewness = [skewness_inside(half) for half in half_maps]
        evidence |= {"skewness_a": skewness[0], "skewness_b": skewness[1]}
        measured += f", skewness of the half-maps {skewness[0]:+.2f} and {skewness[1]:+.2f}"
        of_halves = {_sign(value, _LEAST_SKEWNESS) for value in skewness}
        sign = of_halves.pop() if len(of_halves) == 1 else 0
        if sign * blob_z < -_CONTRADICTING_BLOB_Z:
            sign = 0
    stated, other = ("bright", "dark") if stated_sign > 0 else ("dark", "bright")
    if sign > 0:
        return Finding(CHECK, Verdict.FINE, f"protein is {stated}, as stated ({measured})", evidence)
    if sign < 0:
        sentence = f"protein is {other}, not {stated} as stated ({measured}): {REMEDY}"
        return Finding(CHECK, Verdict.WRONG, sentence, evidence)
    return Finding(CHECK, Verdict.UNKNOWN, f"the images do not show it clearly ({measured})", evidence)


def skewness_inside(volume: Tensor) -> float:
    """Return the skewness of a map (S, S, S) within a sphere."""
    side = len(volume)
    inside = volume[soft_sphere(side, 0.4 * side, 1.0, volume.device) > 0.5].double()
    inside = inside - inside.mean()
    return float(torch.mean(inside**3) / torch.mean(inside**2).clamp(min=1e-30) ** 1.5)


def _sign(value: float, least: float) -> int:
    return 0 if abs(value) < least else (1 if value > 0 else -1)
