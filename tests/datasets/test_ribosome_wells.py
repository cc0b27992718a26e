"""Ribosome-wells: the object, its two angles and the landscape they are drawn from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from cryoarena.datasets.base import Ensemble, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.ribosome_wells import WellsOptions, wells_surface
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import locate_all
from cryoarena.datasets.truth import open_truth
from cryoarena.datasets.turned_body import TurnedBody
from cryoarena.errors import UserError
from cryoarena.structures.render import render_volume

IMAGES = 20_000


@pytest.fixture(scope="module")
def ensemble(mirror: Path) -> Ensemble:
    """Return the conformations of 20,000 images."""
    dataset = datasets.get("ribosome-wells")
    return dataset.build(resolve_settings(dataset, "small", IMAGES), locate_all(dataset, "small"), WellsOptions())


@pytest.fixture(scope="module")
def specimen(ensemble: Ensemble) -> TurnedBody:
    assert isinstance(ensemble.specimen, TurnedBody)
    return ensemble.specimen


def cells_of(ensemble: Ensemble, cells: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of images and the true probability of blocks of the landscape."""
    probability = ensemble.energy.probability()
    edges = [np.linspace(-limit, limit, n + 1) for limit, n in zip((12, 9), cells, strict=True)]
    counts = np.histogram2d(*ensemble.cvs.values(), edges)[0]
    blocks = probability.reshape(cells[0], len(probability) // cells[0], cells[1], -1).sum(axis=(1, 3))
    return counts, blocks


def test_occupancy_gives_the_energy_back(ensemble: Ensemble) -> None:
    counts, probability = cells_of(ensemble, (24, 18))
    assert counts.sum() == IMAGES
    energy, true = -np.log(counts / IMAGES), -np.log(probability)
    # The standard error of -ln n is 1/sqrt(n).
    deviation = (energy - true) * np.sqrt(counts)
    assert deviation.std() == pytest.approx(1, abs=0.15)
    assert abs(deviation.mean()) < 0.2
    assert np.ptp(true) > 2.5


def test_there_are_twelve_wells_of_uneven_depth_on_a_grid() -> None:
    surface = wells_surface(WellsOptions(depth_kT=2.0))
    energy = surface.energy_kT
    inner = energy[1:-1, 1:-1]
    around = [energy[1 + i : energy.shape[0] - 1 + i, 1 + j : energy.shape[1] - 1 + j] for i, j in NEIGHBOURS]
    # A centre lies between four equal cells.
    minima = np.argwhere(np.all([inner <= other + 1e-9 for other in around], axis=0)) + 1
    places = np.stack([axis[index] for axis, index in zip(surface.axes, minima.T, strict=True)], axis=1)
    found = np.unique(np.round(places / 3) * 3, axis=0)
    expected = np.stack(np.meshgrid([-9, -3, 3, 9], [-6, 0, 6], indexing="ij"), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(found, expected)
    depths = [
        energy.max() - energy[np.abs(surface.axes[0] - x).argmin(), np.abs(surface.axes[1] - y).argmin()]
        for x, y in expected
    ]
    assert max(depths) == pytest.approx(2.0, rel=0.05)
    assert min(depths) < 0.5 * max(depths)
    assert len(np.unique(np.round(depths, 2))) == 12


NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def test_every_image_has_two_angles_of_its_own_about_orthogonal_axes(ensemble: Ensemble, specimen: TurnedBody) -> None:
    assert len(specimen) == len(ensemble.population) == IMAGES
    m = len(specimen.resting_A)
    flat = replace(specimen, angle_deg=np.zeros((1, 2))).position_A(0).astype(np.float64)
    for number in (0, 7, 4321):
        moved = specimen.position_A(number).astype(np.float64)
        np.testing.assert_array_equal(moved[:m], flat[:m])
        found, rssd = Rotation.align_vectors(moved[m:] - specimen.centre_A, flat[m:] - specimen.centre_A)
        assert rssd < 1e-2
        angles = [ensemble.cvs[name][number] for name in ("ratchet", "rolling")]
        np.testing.assert_allclose(found.as_rotvec(degrees=True), [*angles, 0], atol=1e-3)


def test_the_recorded_motion_is_that_of_the_atoms(specimen: TurnedBody) -> None:
    few = replace(specimen, angle_deg=specimen.angle_deg[:4])
    bodies = few.rigid_bodies()
    motion = bodies.motion
    for number in range(4):
        moved = np.einsum("nij,nj->ni", motion.rotation[number, bodies.body], few.position_A(0))
        moved += motion.translation_A[number, bodies.body]
        np.testing.assert_allclose(moved, few.position_A(number), atol=1e-3)


def test_the_subunits_touch_and_never_overlap(specimen: TurnedBody) -> None:
    m = len(specimen.resting_A)
    large = cKDTree(specimen.resting_A)
    angles = np.random.default_rng(1).uniform([-12, -9], [12, 9], size=(30, 2))
    turned = replace(specimen, angle_deg=angles)
    nearest = [large.query(turned.position_A(number)[m:])[0].min() for number in range(30)]
    # Between the orientations that docking tries a bead may come a little nearer.
    assert min(nearest) > 5.5
    assert min(nearest) < 7
    reach = max(float(np.linalg.norm(turned.position_A(number), axis=1).max()) for number in range(30))
    assert reach <= specimen.reach_A() < reach + 30


def test_it_looks_like_a_ribosome(specimen: TurnedBody) -> None:
    weights = specimen.model.weights[:, 0]
    m = len(specimen.resting_A)
    # A dalton per half an electron of protein or RNA.
    large_Da, small_Da = 2 * weights[:m].sum(), 2 * weights[m:].sum()
    assert 1.1e6 < large_Da < 1.6e6
    assert 0.4 < small_Da / large_Da < 0.65
    flat = replace(specimen, angle_deg=np.zeros((1, 2))).position_A(0)
    np.testing.assert_allclose(np.average(flat, axis=0, weights=weights), 0, atol=1e-3)
    thickness, length, width = np.ptp(specimen.turning_A, axis=0)
    assert length > 1.4 * width > 1.4 * thickness
    # The small subunit lies beside the large one along x, the axis of the ratchet.
    assert specimen.turning_A.mean(axis=0)[0] - specimen.resting_A.mean(axis=0)[0] > 80


def test_a_true_map_has_density_where_the_beads_are(specimen: TurnedBody) -> None:
    position_A = specimen.position_A(5)
    pixel_size_A = 6.4
    volume = render_volume(position_A, specimen.model, 64, pixel_size_A)
    index = np.round(position_A / pixel_size_A).astype(int) + 32
    at_beads = volume[index[:, 2], index[:, 1], index[:, 0]]
    empty = np.ones(volume.shape, bool)
    empty[index[:, 2], index[:, 1], index[:, 0]] = False
    assert (at_beads > 5 * np.abs(volume[empty]).mean()).mean() > 0.99


def test_maps_are_kept_of_all_wells_and_of_others_by_population(ensemble: Ensemble) -> None:
    mapped = ensemble.mapped
    assert len(mapped) == len(np.unique(mapped)) == 100
    angles = np.stack(list(ensemble.cvs.values()), axis=1)
    for x in (-9, -3, 3, 9):
        for y in (-6, 0, 6):
            assert np.linalg.norm(angles[mapped] - [x, y], axis=1).min() < 0.2


def test_it_is_made_and_the_truth_holds_energy_and_angles(mirror: Path, tmp_path: Path) -> None:
    dataset = datasets.get("ribosome-wells")
    settings = replace(
        resolve_settings(dataset, "small", 6, 24), max_shift_px=1.0, source_box_px=32, source_pixel_size_A=12.8
    )
    make_dataset(dataset, settings, locate_all(dataset, "small"), tmp_path / "d", given_options={"depth_kT": "1.5"})
    truth = open_truth(tmp_path / "d")
    np.testing.assert_array_equal(np.sort(truth.conformation), np.arange(6))
    np.testing.assert_array_equal(truth.mapped, np.arange(6))
    assert truth.energy is not None
    assert truth.energy.cv_names == tuple(truth.cvs)
    assert np.ptp(truth.energy.energy_kT) == pytest.approx(1.5, rel=0.05)
    assert truth.rigid_motion is not None
    whole = truth.volume(0)
    np.testing.assert_allclose(truth.body_volume(0) + truth.body_volume(1), whole, atol=1e-5 * whole.max())


def test_settings() -> None:
    dataset = datasets.get("ribosome-wells")
    paper = resolve_settings(dataset, "paper")
    assert (paper.images, paper.conformations, paper.snr) == (3_000_000, 3_000_000, 1.0)
    assert resolve_settings(dataset, "small", images=70).conformations == 70
    with pytest.raises(UserError, match="leave --conformations out"):
        resolve_settings(dataset, "small", conformations=10)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [({"ratchet_deg": 0.0}, "ratchet_deg"), ({"rolling_deg": 90.0}, "rolling_deg"), ({"depth_kT": -1.0}, "depth_kT")],
)
def test_impossible_options_are_refused(option: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        wells_surface(WellsOptions(**option))
