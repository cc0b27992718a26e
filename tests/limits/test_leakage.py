"""Leakage: labels that can be told without looking at the particle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.files import read_json
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.defocus import parametric_defocus
from cryoarena.limits.leakage import Leakage, leakage, leakage_of
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from simulated import make_small_dataset

N, STATES, BOX_PX = 900, 3, 24
STATE = np.arange(N) % STATES


def noise(
    folder: Path, *, gain: float = 0.0, brightness: float = 0.0, defocus_A: float = 0.0, centre: float = 0.0
) -> ParticleSet:
    """Return images of noise: what depends on the state is its spread, mean, defocus and a disc in the centre."""
    rng = np.random.default_rng(5)
    images = rng.standard_normal((N, BOX_PX, BOX_PX)) * (1 + gain * STATE)[:, None, None]
    images += brightness * STATE[:, None, None]
    axis = np.arange(BOX_PX) - BOX_PX // 2
    images += centre * STATE[:, None, None] * (np.hypot(axis[:, None], axis) < BOX_PX / 4)
    path = folder / "noise.mrcs"
    with StackWriter(path, N, BOX_PX, 5.0) as stack:
        stack.append(images.astype(np.float32))
    defocus = parametric_defocus(N, rng)
    constant = np.ones(N)
    ctf = CtfParameters(
        defocus.defocus_u_A + defocus_A * STATE,
        defocus.defocus_v_A + defocus_A * STATE,
        defocus.azimuth_deg,
        300 * constant,
        2.7 * constant,
        0.1 * constant,
        0 * constant,
        0 * constant,
    )
    return ParticleSet(np.arange(N), BOX_PX, 5.0, 1, (path,), np.zeros(N, np.int64), np.arange(N), None, ctf)


def test_a_few_lucky_guesses_are_no_leakage() -> None:
    # Two states of four particles each: four guesses are right by chance once in sixteen times.
    lucky = Leakage(1.0, 0.0, 0.5, 0.25, 8, None, 1.0)
    assert not lucky.is_found
    assert replace(lucky, chance_error=0.01, images=5000).is_found


def quiet(*_: object) -> None:
    """Report nothing."""


def test_noise_that_is_alike_is_at_chance(tmp_path: Path) -> None:
    found = leakage(noise(tmp_path), STATE, quiet)
    assert found.chance == pytest.approx(1 / 3)
    assert not found.is_found
    assert found.balanced_accuracy == pytest.approx(1 / 3, abs=3 * found.standard_error)
    assert found.standard_error == pytest.approx(np.sqrt(1 / 3 * 2 / 3 / (N / 2)), rel=0.1)


def test_its_standard_error_is_that_of_repeated_trials(tmp_path: Path) -> None:
    particles, rng = noise(tmp_path), np.random.default_rng(0)
    trials = [leakage(particles, rng.permutation(STATE), quiet) for _ in range(40)]
    values = [trial.balanced_accuracy for trial in trials]
    assert np.mean(values) == pytest.approx(1 / 3, abs=0.012)
    assert np.std(values) == pytest.approx(trials[0].standard_error, rel=0.3)


def test_what_is_in_the_middle_of_the_image_does_not_count(tmp_path: Path) -> None:
    assert not leakage(noise(tmp_path, centre=5.0), STATE, quiet).is_found


@pytest.mark.parametrize("signature", [{"gain": 0.1}, {"brightness": 0.3}])
def test_grey_values_of_the_corners_tell(tmp_path: Path, signature: dict[str, float]) -> None:
    found = leakage(noise(tmp_path, **signature), STATE, quiet)
    assert found.is_found
    assert found.from_corners > 0.6
    assert found.from_ctf is not None
    assert found.from_ctf < 0.4


def test_defocus_tells_and_a_stack_without_ctf_has_none(tmp_path: Path) -> None:
    particles = noise(tmp_path, defocus_A=6000.0)
    found = leakage(particles, STATE, quiet)
    assert found.is_found
    assert found.from_ctf is not None
    assert found.from_ctf > 0.45
    blind = leakage(replace(particles, ctf=None), STATE, quiet)
    assert blind.from_ctf is None
    assert not blind.is_found


def test_rare_states_count_as_much_as_common_ones(tmp_path: Path) -> None:
    state = np.zeros(N, np.int64)
    state[:60] = 1
    found = leakage(noise(tmp_path), state, quiet)
    assert found.balanced_accuracy == pytest.approx(0.5, abs=3 * found.standard_error)


def test_a_state_that_the_sample_would_miss_is_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryoarena.limits.leakage._MOST_IMAGES", 100)
    state = np.zeros(N, np.int64)
    state[:450], state[:5] = 1, 2
    found = leakage(noise(tmp_path), state, quiet)
    assert found.chance == pytest.approx(1 / 3)
    assert 100 < found.images <= 105


@pytest.fixture(scope="module")
def continuum(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return open_truth(make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=80, box_px=16))


def test_it_is_kept_with_a_sentence_for_states_and_not_made_for_a_continuum(continuum: Truth) -> None:
    assert leakage_of(continuum) is None
    info = {**continuum.info, "card": {**continuum.info["card"], "kind": "discrete"}}
    truth = replace(continuum, info=info)
    found = leakage_of(truth)
    kept = read_json(truth.folder / "truth" / "limits" / "leakage.json")
    assert found is not None
    assert f"{found.balanced_accuracy:.3f} ±" in kept["description"]
    assert leakage_of(truth) == found
