"""The cryobench variant of the FSC is that of cryoDRGN, whose bins CryoBench took over."""

import numpy as np
import pytest

from cryoarena.volumes.fsc import fsc_cryobench
from cryoarena.volumes.mrc import write_volume


@pytest.mark.agreement
@pytest.mark.parametrize("masked", [False, True])
def test_fsc_equals_cryodrgns(cryodrgn_utils, tmp_path, masked):
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[-24:24, -24:24, -24:24]
    radius = np.sqrt(x**2 + y**2 + z**2)
    # density inside a ball, so that the mean, the faint outer shells and the noise all matter
    a = (np.exp(-(radius**2) / 150) * (1 + 0.5 * np.cos(x / 2) * np.sin(y / 3)) + 0.01).astype(np.float32)
    b = (a + rng.normal(scale=0.02, size=a.shape)).astype(np.float32)
    mask = np.clip((20 - radius) / 4, 0, 1).astype(np.float32) if masked else None
    for name, volume in (("a", a), ("b", b), ("mask", mask)):
        if volume is not None:
            write_volume(tmp_path / f"{name}.mrc", volume, 3.0)
    options = ["--mask", "mask.mrc"] if masked else []
    cryodrgn_utils("fsc", "a.mrc", "b.mrc", "-o", "fsc.txt", *options, cwd=tmp_path)
    frequency, theirs = np.loadtxt(tmp_path / "fsc.txt", skiprows=1, unpack=True)
    ours = fsc_cryobench(a, b, mask)
    np.testing.assert_allclose(ours[0], frequency, atol=1e-12)
    np.testing.assert_allclose(ours[1], theirs, atol=1e-4)
    # it must be a test of the whole curve, from agreement to noise
    assert theirs.min() < 0.2 < 0.9 < theirs[1:5].min()
