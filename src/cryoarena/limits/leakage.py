"""Leakage: can the state of a particle be told without looking at the particle?

States that were recorded apart, or simulated with different numbers, differ in defocus, ice and noise. A method that
separates them by these has learned nothing about structure. This judges a dataset, not a result.
"""

from dataclasses import asdict, dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cryoarena.datasets.truth import Truth
from cryoarena.files import read_json, write_json
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report, progress_bar

_VERSION = 2
_FEWEST_IMAGES = 4
_MOST_STATES = 100
_MOST_IMAGES = 20_000
_BATCH = 500
_BANDS = 8
_SEED = 0


@dataclass(frozen=True)
class Leakage:
    """How well the states are told by what is no structure.

    Attributes:
        balanced_accuracy: mean recall of the states by a classifier that sees CTF parameters and image corners.
        standard_error: of that, over particles.
        chance: one over the number of states.
        chance_error: standard deviation of the balanced accuracy of guesses; that of a few particles may be far from
            chance, and its own error zero.
        images: number of particles that it learned from and was tried on, half and half.
        from_ctf, from_corners: balanced accuracy with one of the two alone; None where a dataset has no CTF parameters.
    """

    balanced_accuracy: float
    standard_error: float
    chance: float
    chance_error: float
    images: int
    from_ctf: float | None
    from_corners: float

    @property
    def is_found(self) -> bool:
        """Tell whether the states are told better than by chance, by more than three standard errors."""
        return self.balanced_accuracy - self.chance > 3 * max(self.standard_error, self.chance_error)


def leakage_of(truth: Truth) -> Leakage | None:
    """Return the leakage of a dataset of states, kept in `truth/limits/leakage.json`.

    None for a continuum, and where the states are one, more than a hundred, or not all of at least four particles.
    """
    path = truth.folder / "truth" / "limits" / "leakage.json"
    if path.exists() and (kept := read_json(path)).pop("version") == _VERSION:
        kept.pop("description")
        return Leakage(**kept)
    counts = np.unique(truth.state, return_counts=True)[1]
    if truth.is_continuous or not 2 <= len(counts) <= _MOST_STATES or counts.min() < _FEWEST_IMAGES:
        return None
    particles = open_particles(truth.folder)
    order = np.argsort(particles.particle_id)
    particles = particles.subset(order[np.searchsorted(particles.particle_id, truth.particle_id, sorter=order)])
    with progress_bar("Leakage of the labels") as report:
        found = leakage(particles, truth.state, report)
    write_json(path, {"version": _VERSION, "description": _described(found), **asdict(found)})
    return found


def leakage(particles: ParticleSet, state: NDArray[np.int64], report: Report) -> Leakage:
    """Try to tell states (N,) by all that is no structure.

    Logistic regression on standardised features and their squares, states weighted alike, learned on one half of the
    particles and tried on the other: in cross-validation trials are not independent, and their error is understated
    by a quarter. A random sample of 20,000 particles is taken where there are more. Features: CTF parameters; of the
    corners outside the inscribed circle the mean, the logarithm of the variance and that of the power in eight bands
    of frequency.
    """
    rows = np.arange(len(state))
    if len(rows) > _MOST_IMAGES:
        rows = np.sort(np.random.default_rng(_SEED).choice(len(rows), _MOST_IMAGES, replace=False))
        # Of a rare state the sample may hold none, or too few to learn from and to try.
        states = np.unique(state)
        rare = states[np.equal.outer(states, state[rows]).sum(axis=1) < _FEWEST_IMAGES]
        rows = np.union1d(rows, np.flatnonzero(np.isin(state, rare)))
    corners = _corner_features(particles, rows, report)
    ctf = None if particles.ctf is None else _ctf_features(particles.ctf[rows])
    both = corners if ctf is None else np.concatenate([corners, ctf], axis=1)
    value, error = _balanced_accuracy(both, state[rows])
    _, count = np.unique(state[rows], return_counts=True)
    chance = 1 / len(count)
    return Leakage(
        balanced_accuracy=value,
        standard_error=error,
        chance=chance,
        # Of each state one half is tried.
        chance_error=float(np.sqrt((chance * (1 - chance) / (count / 2)).sum()) / len(count)),
        images=len(rows),
        from_ctf=None if ctf is None else _balanced_accuracy(ctf, state[rows])[0],
        from_corners=_balanced_accuracy(corners, state[rows])[0],
    )


def _corner_features(particles: ParticleSet, rows: NDArray[np.int64], report: Report) -> NDArray[np.float64]:
    """Return (n, 10) features of the pixels outside the circle that the box holds."""
    box_px = particles.box_px
    axis = np.arange(box_px) - box_px // 2
    outside = np.hypot(axis[:, None], axis) > box_px / 2
    radius = np.hypot(np.fft.fftfreq(box_px)[:, None], np.fft.rfftfreq(box_px))
    band = np.minimum((radius * 2 * _BANDS).astype(np.int64), _BANDS)
    features = []
    for start in range(0, len(rows), _BATCH):
        images = particles.images(rows[start : start + _BATCH]).astype(np.float64)
        corner = images[:, outside]
        mean = corner.mean(axis=1)
        power = np.abs(scipy.fft.rfft2((images - mean[:, None, None]) * outside)) ** 2
        bands = np.stack([power[:, band == number].mean(axis=1) for number in range(_BANDS)], axis=1)
        tiny = np.finfo(np.float64).tiny
        features.append(np.column_stack([mean, np.log(corner.var(axis=1) + tiny), np.log(bands + tiny)]))
        report(min(start + _BATCH, len(rows)), len(rows), "images")
    return np.concatenate(features)


def _ctf_features(ctf: CtfParameters) -> NDArray[np.float64]:
    azimuth = np.deg2rad(2 * ctf.defocus_azimuth_deg)
    difference = ctf.defocus_u_A - ctf.defocus_v_A
    return np.stack(
        [
            (ctf.defocus_u_A + ctf.defocus_v_A) / 2,
            difference * np.cos(azimuth),
            difference * np.sin(azimuth),
            ctf.voltage_kV,
            ctf.cs_mm,
            ctf.amplitude_contrast,
            ctf.phase_shift_deg,
            ctf.b_factor_A2,
        ],
        axis=1,
    )


def _balanced_accuracy(features: NDArray[np.float64], state: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean recall of the states and its standard error."""
    standard = StandardScaler().fit_transform(features)
    # With squares the classifier also sees that one state spreads more than another.
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    both = np.concatenate([standard, standard**2], axis=1)
    learned, tried, of_learned, of_tried = train_test_split(
        both, state, test_size=0.5, stratify=state, random_state=_SEED
    )
    found = classifier.fit(learned, of_learned).predict(tried)
    _, member, count = np.unique(of_tried, return_inverse=True, return_counts=True)
    recall = np.bincount(member, found == of_tried) / count
    return float(recall.mean()), float(np.sqrt((recall * (1 - recall) / count).sum()) / len(count))


def _described(found: Leakage) -> str:
    """Return the sentence that a report shows."""
    verdict = "above chance: scores of classes are partly those of the sessions" if found.is_found else "at chance"
    return (
        f"Leakage: CTF parameters and image corners tell the state with balanced accuracy "
        f"{found.balanced_accuracy:.3f} ± {found.standard_error:.3f} (chance {found.chance:.3f}), {verdict}."
    )
