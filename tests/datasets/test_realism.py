"""Every dial changes what it should and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.imaging.ctf import ctf
from cryoarena.imaging.project import VolumeProjector
from cryoarena.imaging.spectrum import frequencies, origin_phase
from cryoarena.particles.dataset_folder import open_particles
from simulated import make_small_dataset

N = 120


def made(folder: Path, **dials: Any) -> Path:
    return make_small_dataset(folder, images=N, box_px=24, realism=Realism(**dials))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("plain") / "d")


def changed_files(folder: Path, reference: Path) -> set[str]:
    """Return the files whose bytes differ, or that only one folder has, except dataset.json."""
    ours, theirs = (read_json(path / "dataset.json")["files"] for path in (folder, reference))
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


TABLES = {"particles.star", "particles.cs"}


def test_dials_that_are_off_leave_no_trace(plain: Path) -> None:
    assert "realism" not in read_json(plain / "dataset.json")["recipe"]
    columns = set(pd.read_parquet(plain / "truth" / "particles.parquet").columns)
    assert not {"junk", "ice_nm", "defocus_u_A"} & columns


def test_a_dial_is_recorded_and_makes_another_dataset(plain: Path, tmp_path: Path) -> None:
    info, reference = (read_json(path / "dataset.json") for path in (made(tmp_path / "d", pose_error_deg=2.0), plain))
    assert info["recipe"]["realism"] == {"pose_error_deg": 2.0}
    assert info["id"] != reference["id"]


def test_pose_error_is_in_what_is_given_only(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", pose_error_deg=5.0, shift_error_A=3.0)
    assert changed_files(folder, plain) == TABLES | {"poses.pkl"}
    given, true = open_particles(folder), open_truth(folder)
    assert given.poses is not None
    np.testing.assert_allclose((given.poses.shift_A - true.poses.shift_A).std(), 3.0, rtol=0.2)
    trace = np.einsum("nij,nij->n", given.poses.rotation_object_to_image, true.poses.rotation_object_to_image)
    angle = np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
    assert np.sqrt(np.square(angle).mean()) == pytest.approx(5.0, rel=0.2)


def test_defocus_error_is_in_what_is_given_only(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", defocus_error_A=400.0)
    assert changed_files(folder, plain) == TABLES | {"ctf.pkl", "truth/particles.parquet"}
    given, true, reference = open_particles(folder), open_truth(folder), open_particles(plain)
    assert given.ctf is not None
    assert reference.ctf is not None
    assert true.defocus is not None
    np.testing.assert_allclose(true.defocus.defocus_u_A, reference.ctf.defocus_u_A, rtol=1e-7)
    error = given.ctf.defocus_u_A - true.defocus.defocus_u_A
    assert error.std() == pytest.approx(400.0, rel=0.2)
    np.testing.assert_allclose(given.ctf.defocus_v_A - true.defocus.defocus_v_A, error, atol=1e-3)


def test_coloured_noise_changes_the_noise_and_keeps_the_snr(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", noise="carbon")
    changed = changed_files(folder, plain)
    assert "truth/noise_spectrum.csv" in changed
    assert "truth/particles.parquet" not in changed
    assert not changed & (TABLES | {"poses.pkl", "ctf.pkl"})
    ours, theirs = (read_json(path / "dataset.json")["recipe"] for path in (folder, plain))
    assert ours["signal_variance_at_source_box"] == theirs["signal_variance_at_source_box"]
    spectrum = open_truth(folder).noise_spectrum
    assert spectrum is not None
    # Noise of unit variance at D continues to the source's Nyquist: its variance there, over that of the signal.
    at_source = (192 / 24) ** 2 * spectrum.mean(192, 2.0) / spectrum.mean(24, 16.0)
    signal = ours["signal_variance_at_source_box"] * ours["image_units_per_projected_density"] ** 2
    assert signal / at_source == pytest.approx(0.1, rel=1e-6)
    # The maps are in image units, so that they scale with the signal.
    ratio = open_truth(folder).volume(0) / open_truth(plain).volume(0)
    np.testing.assert_allclose(
        ratio, ours["image_units_per_projected_density"] / theirs["image_units_per_projected_density"], rtol=1e-4
    )


def test_a_spectrum_file_is_known_by_its_content(tmp_path: Path) -> None:
    for number, power in enumerate((1.0, 2.0)):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "noise.csv").write_text(f"frequency_per_A,power\n0,{power}\n0.1,1\n")
    infos = [
        read_json(made(tmp_path / f"d{number}", noise=str(tmp_path / f"{number}" / "noise.csv")) / "dataset.json")
        for number in (0, 1)
    ]
    assert infos[0]["recipe"]["realism"]["noise"]["file"] == "noise.csv"
    assert infos[0]["id"] != infos[1]["id"]


def test_preferred_views_change_rotations_only(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", view_kappa=50.0, view_axes=2)
    ours, theirs = open_truth(folder), open_truth(plain)
    np.testing.assert_array_equal(ours.poses.shift_A, theirs.poses.shift_A)
    np.testing.assert_array_equal(ours.conformation, theirs.conformation)
    view = ours.poses.rotation_object_to_image[:, 2]
    cosine = view @ view.T
    # Two clusters: every view is near to about half of the others.
    near = (cosine > 0.8).mean(axis=1)
    assert 0.3 < np.median(near) < 0.7
    assert (
        theirs.poses.rotation_object_to_image[:, 2] @ theirs.poses.rotation_object_to_image[0, 2] > 0.8
    ).mean() < 0.3
    given = open_particles(folder)
    assert given.poses is not None
    np.testing.assert_allclose(given.poses.rotation_object_to_image, ours.poses.rotation_object_to_image, atol=1e-6)


def scale_of_truth(folder: Path) -> float:
    """Return how strongly images show what the true maps predict under true poses and CTFs; 1 where nothing is off."""
    particles, truth = open_particles(folder), open_truth(folder)
    assert particles.ctf is not None
    a = particles.pixel_size_A
    frequency_x, frequency_y = frequencies(particles.box_px, a)
    band = np.hypot(frequency_x, frequency_y) < 0.4 / a
    products, squares = 0.0, 0.0
    for row, image in enumerate(particles.images(np.arange(len(particles)))):
        here = np.array([row])
        volume = truth.volume(int(truth.conformation[row])) / np.float32(a)
        poses = truth.poses[here]
        projected = VolumeProjector(volume, a, particles.box_px, a).project(
            poses.rotation_object_to_image, poses.shift_A
        )
        predicted = (-projected[0] * ctf(particles.ctf[here], frequency_x, frequency_y)[0])[band]
        data = (np.fft.rfft2(image) * origin_phase(particles.box_px))[band]
        products += float((predicted.conj() * data).real.sum())
        squares += float(np.square(np.abs(predicted)).sum())
    return products / squares


def test_ice_weakens_images_and_is_told_in_truth_only(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", ice_nm=120.0, ice_spread_nm=60.0)
    changed = changed_files(folder, plain)
    assert not changed & (TABLES | {"poses.pkl", "ctf.pkl"})
    assert {"particles/0000.mrcs", "truth/particles.parquet"} <= changed
    table = pd.read_parquet(folder / "truth" / "particles.parquet")
    assert table["ice_nm"].mean() == pytest.approx(120.0, rel=0.15)
    # The SNR is that of the images as they are, so that the object shows more contrast, thick ice less of it.
    attenuation = np.exp(-table["ice_nm"].to_numpy() / 300)
    assert scale_of_truth(folder) == pytest.approx(np.mean(attenuation), rel=0.05)
    assert scale_of_truth(plain) == pytest.approx(1.0, rel=0.03)


def test_beam_tilt_changes_images_only_and_is_told_if_asked(plain: Path, tmp_path: Path) -> None:
    hidden = made(tmp_path / "hidden", beam_tilt_mrad=2.0, optics_groups=3)
    assert not changed_files(hidden, plain) & (TABLES | {"poses.pkl", "ctf.pkl", "truth/volumes/0000.mrc"})
    table = pd.read_parquet(hidden / "truth" / "particles.parquet")
    assert table["optics_group"].value_counts().tolist() == [N // 3] * 3
    np.testing.assert_allclose(np.hypot(table["beam_tilt_x_mrad"], table["beam_tilt_y_mrad"]), 2.0)
    assert open_particles(hidden).beam_tilt_mrad is None
    told = made(tmp_path / "told", beam_tilt_mrad=2.0, optics_groups=3, beam_tilt_given=True)
    # A .cs file holds no tilt of ours, but the groups that have one.
    assert changed_files(told, hidden) == {"particles.star", "particles.cs"}
    groups = np.load(told / "particles.cs")["ctf/exp_group_id"]
    assert len(np.unique(np.stack([groups, table["optics_group"]]), axis=1).T) == 3
    given = open_particles(told).beam_tilt_mrad
    np.testing.assert_allclose(given, table[["beam_tilt_x_mrad", "beam_tilt_y_mrad"]], atol=1e-6)


def test_solvent_is_in_maps_and_images(plain: Path, tmp_path: Path) -> None:
    # So soft an edge that it shows at this pixel size.
    folder = made(tmp_path / "d", solvent=0.6, solvent_b_A2=5000.0)
    assert changed_files(folder, plain) <= {
        name
        for name in read_json(plain / "dataset.json")["files"]
        if name.startswith(("particles/", "truth/")) and name != "truth/particles.parquet"
    }
    assert scale_of_truth(folder) == pytest.approx(1.0, rel=0.03)

    def share_of_low_frequencies(volume: np.ndarray) -> float:
        power = np.square(np.abs(np.fft.fftn(volume)))
        index = np.fft.fftfreq(24) * 24
        radius = np.sqrt(index[:, None, None] ** 2 + index[:, None] ** 2 + index**2)
        return float(power[radius < 3].sum() / power[radius < 12].sum())

    wet, dry = open_truth(folder).volume(0), open_truth(plain).volume(0)
    assert wet.min() < -0.05 * wet.max()
    assert share_of_low_frequencies(wet) < 0.9 * share_of_low_frequencies(dry)


def test_the_dose_decides_the_snr(plain: Path, tmp_path: Path) -> None:
    dials = Realism(dose_e_per_A2=30.0, dose_contrast=0.03)
    folder = make_small_dataset(tmp_path / "d", images=N, box_px=24, snr=None, realism=dials)
    recipe = read_json(folder / "dataset.json")["recipe"]
    # 30 e/Å² in pixels of (2 Å)², of which the signal changes 3 %.
    assert recipe["snr"] == pytest.approx(0.03**2 * 120)
    images = open_particles(folder).images(slice(None)).astype(np.float64)
    electrons = 30.0 * 16.0**2
    counts = electrons - images * np.sqrt(electrons)
    np.testing.assert_allclose(counts, np.round(counts), atol=0.02)
    assert counts.mean() == pytest.approx(electrons, rel=0.01)
    assert scale_of_truth(folder) == pytest.approx(1.0, rel=0.03)
    # The same signal, another noise.
    reference = make_small_dataset(tmp_path / "r", images=N, box_px=24, snr=recipe["snr"])
    assert changed_files(folder, reference) == {"particles/0000.mrcs"}


def images_of(folder: Path) -> np.ndarray:
    return open_particles(folder).images(slice(None))


def test_junk_replaces_some_images_and_is_not_scored(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", junk_noise=0.1, junk_aggregate=0.15, junk_off_centre=0.05)
    assert not changed_files(folder, plain) & (TABLES | {"poses.pkl", "ctf.pkl"})
    table = pd.read_parquet(folder / "truth" / "particles.parquet")
    assert table["junk"].value_counts().to_dict() == {"": 84, "noise": 12, "aggregate": 18, "off-centre": 6}
    nothing = table["junk"].isin(["noise", "aggregate"])
    assert (table.loc[nothing, "conformation"] == -1).all()
    assert table.loc[nothing, "cv_hinge_angle"].isna().all()
    assert (table.loc[~nothing, "conformation"] >= 0).all()

    truth, reference = open_truth(folder), open_truth(plain)
    assert len(truth.particle_id) == 84
    ordinary = np.flatnonzero(table["junk"] == "")
    np.testing.assert_array_equal(truth.particle_id, reference.particle_id[ordinary])
    np.testing.assert_array_equal(truth.conformation, reference.conformation[ordinary])

    # The noise is the same, so that what differs is signal, up to how strong that is.
    ours, theirs = (read_json(path / "dataset.json")["recipe"] for path in (folder, plain))
    ratio = ours["image_units_per_projected_density"] / theirs["image_units_per_projected_density"]
    assert ratio == pytest.approx(1.0, rel=0.1)
    difference = images_of(folder) - images_of(plain)
    strong = np.square(difference).mean(axis=(1, 2))
    assert strong[ordinary].max() < 0.1 * strong[table["junk"] != ""].min()


def test_nothing_but_junk_is_refused_before_an_old_folder_goes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    dataset = datasets.get("igg-pseudo")
    settings = resolve_settings(dataset, "small", images=4, box_px=16, realism=Realism(junk_noise=0.95))
    with pytest.raises(UserError, match="of 4 particles none is left"):
        make_dataset(dataset, settings, Sources(), tmp_path / "d", overwrite=True)
    assert (tmp_path / "d" / "old").exists()


def test_noise_is_nothing_and_an_off_centre_molecule_is_where_truth_tells(tmp_path: Path) -> None:
    folder = made(tmp_path / "d", junk_noise=0.45, junk_off_centre=0.45)
    table = pd.read_parquet(folder / "truth" / "particles.parquet")
    images = images_of(folder)
    nothing = (table["junk"] == "noise").to_numpy()
    assert images[nothing].var() == pytest.approx(1.0, abs=0.03)
    assert images[table["junk"] == ""].var() > 1.2
    off = table[table["junk"] == "off-centre"]
    given = open_particles(folder).poses
    assert given is not None
    field_of_view_A = 24 * 16.0
    distance_A = np.hypot(off["shift_x_A"], off["shift_y_A"])
    assert distance_A.between(0.25 * field_of_view_A, 0.5 * field_of_view_A).all()
    assert np.abs(given.shift_A).max() <= 20.0 + 1e-6
    # Over all of them, the density is on the side that truth tells.
    pixel = np.arange(24) - 12
    centre = np.stack(
        [(images[off.index] * pixel).sum(axis=(1, 2)), (images[off.index] * pixel[:, None]).sum(axis=(1, 2))]
    )
    along = (centre * off[["shift_x_A", "shift_y_A"]].to_numpy().T).sum(axis=0)
    assert (along > 0).mean() > 0.7


def test_neighbours_appear_at_the_edge_of_some_images(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", neighbours=0.25)
    assert changed_files(folder, plain) == {"particles/0000.mrcs", "truth/particles.parquet"}
    table = pd.read_parquet(folder / "truth" / "particles.parquet")
    assert table["neighbour"].sum() == 30
    difference = images_of(folder) - images_of(plain)
    assert not difference[~table["neighbour"]].any()
    power = np.square(difference[table["neighbour"]]).mean(axis=0)
    index = np.arange(24) - 12
    radius = np.hypot(index[:, None], index)
    assert power[radius > 9].mean() > 3 * power[radius < 4].mean()
    assert len(open_truth(folder).particle_id) == len(table)


def test_entangled_views_tell_the_conformation(plain: Path, tmp_path: Path) -> None:
    def views_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
        truth = open_truth(folder)
        return truth.poses.rotation_object_to_image[:, 2], truth.conformation

    view, conformation = views_of(made(tmp_path / "d", entanglement=1.0))
    np.testing.assert_array_equal(conformation, open_truth(plain).conformation)
    angle = np.pi * conformation / 8
    cosine = np.sum(view * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1), axis=1)
    assert cosine.min() >= np.cos(np.deg2rad(30)) - 1e-9
    half, _ = views_of(made(tmp_path / "half", entanglement=0.5))
    same = np.all(half == views_of(plain)[0], axis=1)
    assert 0.35 < same.mean() < 0.65


def test_populations_are_those_asked_for(tmp_path: Path) -> None:
    folder = made(tmp_path / "d", populations="geometric:0.5")
    truth = open_truth(folder)
    np.testing.assert_allclose(truth.population[1:] / truth.population[:-1], 0.5)
    np.testing.assert_allclose(np.bincount(truth.conformation, minlength=8), N * truth.population, atol=1)
    with pytest.raises(UserError, match="3 shares but there are 8"):
        made(tmp_path / "wrong", populations="1,2,3")
    assert not (tmp_path / "wrong").exists()


def test_incomplete_particles_are_conformations_of_their_own(plain: Path, tmp_path: Path) -> None:
    folder = made(tmp_path / "d", incomplete=0.25)
    truth, reference = open_truth(folder), open_truth(plain)
    assert truth.cvs["complete"].tolist() == [1.0] * 8 + [0.0] * 8
    np.testing.assert_allclose(truth.cvs["hinge_angle"], np.tile(reference.cvs["hinge_angle"], 2))
    assert truth.population[8:].sum() == pytest.approx(0.25)
    assert (truth.conformation >= 8).mean() == pytest.approx(0.25, abs=0.04)
    assert truth.rigid_motion is None
    whole, part = truth.volume(0), truth.volume(8)
    assert part.sum() < 0.9 * whole.sum()
    # Nothing is added but the ringing of so coarse a map.
    assert (whole - part).min() > -0.15 * whole.max()
    # The motion is still to be seen.
    assert np.abs(truth.volume(12) - part).max() > 0.3 * whole.max()
    assert scale_of_truth(folder) == pytest.approx(1.0, rel=0.03)
    assert any("lack" in note for note in read_json(folder / "dataset.json")["notes"])


def test_images_of_many_dials_are_scored(tmp_path: Path) -> None:
    folder = made(
        tmp_path / "d",
        noise="carbon",
        pose_error_deg=2.0,
        defocus_error_A=300.0,
        junk_noise=0.1,
        junk_aggregate=0.1,
        neighbours=0.1,
        incomplete=0.3,
        solvent=0.5,
        ice_nm=30.0,
        beam_tilt_mrad=0.5,
    )
    run_method("ppca", folder, tmp_path / "r", {"components": "2", "iterations": "2"})
    table = score_result(tmp_path / "r", folder)
    assert "failed" not in set(table["status"])
    assert set(table.loc[table["metric"] == "per-image-fsc", "status"]) == {"ok"}


@pytest.mark.parametrize(
    ("dials", "sentence"),
    [
        ({"noise": "pink"}, "no noise spectrum 'pink'"),
        ({"pose_error_deg": -1.0}, "pose_error_deg must not be negative"),
        ({"view_axes": 0}, "view_axes must be at least 1"),
        ({"dose_e_per_A2": 30.0, "noise": "carbon"}, "counts electrons, whose noise is white"),
        ({"dose_e_per_A2": 30.0, "dose_contrast": 0.0}, "dose_contrast must be greater than 0"),
        ({"ice_spread_nm": 5.0}, "needs a mean thickness"),
        ({"solvent": 1.0}, "solvent must be below 1"),
        ({"junk_noise": 0.6, "junk_aggregate": 0.4}, "must sum to less than 1"),
        ({"neighbours": 1.5}, "neighbours is a share"),
    ],
)
def test_impossible_dials_are_refused(dials: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        resolve_settings(datasets.get("igg-pseudo"), "small", realism=Realism(**dials))


def test_a_dose_leaves_no_room_for_an_snr() -> None:
    with pytest.raises(UserError, match="--snr cannot be given"):
        resolve_settings(datasets.get("igg-pseudo"), "small", snr=0.1, realism=Realism(dose_e_per_A2=30.0))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("frequency,power\n0,1\n", "is no noise spectrum"),
        ("frequency_per_A,power\n", "has no rows"),
        ("frequency_per_A,power\n0,1\n0.1,-1\n", "not a positive number"),
        ("frequency_per_A,power\n0.2,1\n0.1,1\n", "do not ascend"),
        ("frequency_per_A,power\n0,x\n", "is no noise spectrum"),
    ],
)
def test_a_wrong_spectrum_file_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "noise.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        resolve_settings(datasets.get("igg-pseudo"), "small", realism=Realism(noise=str(path)))
