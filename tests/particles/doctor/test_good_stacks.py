"""Nothing is called wrong in stacks whose tables are right, and noise is called nothing at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from cryoarena.datasets.realism import Realism
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.doctor.diagnose import diagnose
from cryoarena.particles.doctor.finding import Verdict
from cryoarena.particles.write_star import write_star
from doctored_stack import write_good_stack
from simulated import make_small_dataset

REAL = (
    "empiar10076_7/empiar_10076_7.cs",
    "empiar10076_7/empiar_10076_7.star",
    "relion31_5/relion31.star",
    "relion31_5/relion31.v2.star",
)


@pytest.mark.slow
@pytest.mark.parametrize("snr", [0.02, 0.1, None])
def test_made_stacks(snr: float | None, tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=300, snr=snr)
    assert diagnose(folder, reference=folder / "truth" / "volumes" / "0000.mrc").is_fine


def test_a_realistic_stack(tmp_path: Path) -> None:
    realism = Realism(noise="carbon", junk_noise=0.1, view_kappa=2.0, ice_nm=30.0, ice_spread_nm=10.0)
    assert diagnose(make_small_dataset(tmp_path / "d", images=300, snr=0.05, realism=realism)).is_fine


@pytest.mark.parametrize("name", REAL)
def test_real_stacks(name: str, mirror: Path) -> None:
    diagnosis = diagnose(mirror / "particles" / name)
    assert diagnosis.is_fine
    told = {finding.check for finding in diagnosis.findings if finding.verdict is Verdict.FINE}
    assert told == {"normalisation", "duplicates"}


def test_a_table_without_poses_still_tells_the_contrast(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=300)
    bare = folder / "bare.star"
    write_star(bare, replace(open_particles(folder), poses=None))
    verdicts = {finding.check: finding.verdict for finding in diagnose(bare).findings}
    assert verdicts["contrast"] is Verdict.FINE
    assert verdicts["rotations"] is Verdict.UNKNOWN


def test_a_table_without_ctf_still_tells_the_poses(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=300)
    bare = folder / "bare.star"
    write_star(bare, replace(open_particles(folder), ctf=None))
    diagnosis = diagnose(bare)
    verdicts = {finding.check: finding.verdict for finding in diagnosis.findings}
    assert diagnosis.is_fine
    assert verdicts["rotations"] is Verdict.FINE
    assert verdicts["defocus and optics"] is Verdict.UNKNOWN


@pytest.mark.parametrize("seed", range(3))
def test_noise(seed: int, tmp_path: Path) -> None:
    stack = write_good_stack(tmp_path, images=150, noise=1e4, seed=seed)
    diagnosis = diagnose(stack)
    assert diagnosis.is_fine
    assert all(
        "too little of a particle is seen" in one.sentence for one in diagnosis.findings if one.check == "row order"
    )
