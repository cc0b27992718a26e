"""Fetching a small set that is arranged as CryoBench's are, from a server on this machine."""

import hashlib
import io
import pickle
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.datasets.fetch import fetch_published
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.datasets.zenodo import ZENODO_VARIABLE
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.methods.base import Run, methods
from cryoarena.metrics.judge import Answer, NoResult, judge, judged_rows
from cryoarena.options import parse_options
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.fsc import fsc
from simulated import make_small_dataset
from zenodo_server import Server, serving

IMAGES, BOX, CONFORMATIONS = 480, 32, 8
# As published: dark, on another scale, maps on a third.
IMAGE_FACTOR, MAP_FACTOR = -37.5, 0.02
CONF_HET, MD = 11629428, 14941494

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSet, Truth]:
    folder = make_small_dataset(tmp_path_factory.mktemp("original") / "d", images=IMAGES, box_px=BOX, snr=0.1)
    return open_particles(folder), open_truth(folder)


@pytest.fixture(scope="module")
def published(original: tuple[ParticleSet, Truth], tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return the files of IgG-1D as in the record, made from the original particles sorted by conformation."""
    particles, truth = original
    scratch = tmp_path_factory.mktemp("mrc") / "x.mrc"
    assert particles.poses is not None
    assert particles.ctf is not None

    def mrc(array: np.ndarray, pixel_size_A: float) -> bytes:
        with mrcfile.new(scratch, overwrite=True) as stream:
            stream.set_data(array.astype(np.float32))
            stream.voxel_size = pixel_size_A
        return scratch.read_bytes()

    order = np.argsort(truth.conformation, kind="stable")
    images = particles.images(order) * IMAGE_FACTOR
    root, files = "IgG-1D", Files()
    # Eleven names that sort otherwise as words; the list has them in order.
    for number, part in enumerate(np.split(images, CONFORMATIONS)):
        files[f"{root}/images/snr0.01/{number + 3}_particles.mrcs"] = mrc(part, 1.0)
        files[f"{root}/images/snr0.001/{number + 3}_particles.mrcs"] = mrc(0 * part, 1.0)
        files[f"{root}/vols/32_org/{number:03d}.mrc"] = mrc(truth.volume(number) * MAP_FACTOR, particles.pixel_size_A)
    names = "\n".join(f"{number + 3}_particles.mrcs" for number in range(CONFORMATIONS))
    files[f"{root}/images/snr0.01/sorted_particles.32.txt"] = names.encode()
    rotation = particles.poses.rotation_object_to_image[order].astype(np.float32)
    shift = -particles.poses.shift_A[order] / (BOX * particles.pixel_size_A)
    files[f"{root}/combined_poses.pkl"] = pickle.dumps((rotation, shift))
    c = particles.ctf[order]
    # For twice the box and half the pixel: as before Fourier cropping.
    grid = [np.full(IMAGES, 2.0 * BOX), np.full(IMAGES, particles.pixel_size_A / 2)]
    optics = [c.voltage_kV, c.cs_mm, c.amplitude_contrast, c.phase_shift_deg]
    table = np.stack([*grid, c.defocus_u_A, c.defocus_v_A, c.defocus_azimuth_deg, *optics], axis=1)
    files[f"{root}/combined_ctfs.pkl"] = pickle.dumps(table.astype(np.float32))
    files[f"{root}/gt_latents.pkl"] = pickle.dumps(truth.conformation[order])
    mask = truth.masks()["mask"]
    assert mask is not None
    files[f"{root}/init_mask/mask.mrc"] = mrc(mask, particles.pixel_size_A)
    mean = np.mean([truth.volume(number) for number in range(CONFORMATIONS)], axis=0)
    files[f"{root}/init_mask/init.mrc"] = mrc(mean, particles.pixel_size_A)
    files["__MACOSX/._IgG-1D"] = b"nothing"
    return files


def zipped(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(files: Files) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def without(files: Files, part: str) -> Files:
    return {name: content for name, content in files.items() if part not in name}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, published: Files) -> Iterator[Server]:
    monkeypatch.setattr("cryoarena.datasets.zenodo._PAUSES_S", (0.0,))
    with serving(Server({CONF_HET: {"IgG-1D.zip": zipped(published), "IgG-RL.zip": b"another set"}})) as one:
        monkeypatch.setenv(ZENODO_VARIABLE, one.url)
        yield one


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refusal(server: Server, files: Files, out: Path, name: str = "cryobench/igg-1d") -> str:
    """Return the sentence that a record of these files is refused with; no dataset may be left."""
    server.records[CONF_HET] = {"IgG-1D.zip": zipped(files)}
    with pytest.raises(UserError) as error:
        fetch_published(name, out)
    assert not (out / "dataset.json").exists()
    return str(error.value)


def test_the_folder_holds_the_original_particles(
    server: Server, original: tuple[ParticleSet, Truth], tmp_path: Path
) -> None:
    out = tmp_path / "d"
    result = CliRunner().invoke(app, ["fetch", "cryobench/igg-1d", "-o", str(out)])
    assert result.exit_code == 0, result.output + result.stderr
    assert f"{IMAGES} images" in result.stdout
    particles, truth = open_particles(out), open_truth(out)
    was, true = original
    order = np.argsort(true.conformation, kind="stable")
    np.testing.assert_array_equal(truth.conformation, true.conformation[order])
    assert (particles.box_px, particles.contrast_sign) == (BOX, 1)
    assert particles.pixel_size_A == pytest.approx(was.pixel_size_A)
    # One factor brings back bright protein and noise of unit variance.
    images, before = particles.images(slice(None)), was.images(order)
    factor = float(np.sum(images * before) / np.sum(before**2))
    assert factor == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(images, factor * before, atol=1e-3)
    assert particles.poses is not None
    assert was.poses is not None
    np.testing.assert_allclose(particles.poses.shift_A, was.poses.shift_A[order], atol=1e-4)
    # The true maps are in the units of the images again.
    maps, maps_before = truth.volume(3), true.volume(3)
    assert np.sum(maps * maps_before) / np.sum(maps_before**2) == pytest.approx(1, abs=0.02)
    assert list(truth.cvs) == ["psi_H230"]
    np.testing.assert_allclose(truth.cvs["psi_H230"], 45.0 * np.arange(8))
    card = read_json(out / "dataset.json")
    assert card["recipe"]["published"]["record"] == CONF_HET
    assert (card["recipe"]["snr"], card["recipe"]["snr_box_px"]) == (0.01, 256)
    assert (
        card["recipe"]["published"]["files"][0]["md5"]
        == hashlib.md5(server.records[CONF_HET]["IgG-1D.zip"]).hexdigest()
    )
    assert "as published it is dark" in card["notes"][0]
    assert set(card["files"]) == set(digest(out)) - {"dataset.json"}
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_a_consensus_of_fetched_particles_is_the_mean_true_map(server: Server, tmp_path: Path) -> None:
    fetch_published("cryobench/igg-1d", tmp_path / "d")
    particles, truth = open_particles(tmp_path / "d"), open_truth(tmp_path / "d")
    method = methods.get("consensus")
    volume = method.fit(particles, parse_options(method.options, {}), Run()).volumes_at(np.zeros((1, 1)))[0]
    mean = np.mean([truth.volume(number) for number in range(CONFORMATIONS)], axis=0)
    frequency, correlation = fsc(volume, mean, truth.masks()["mask"])
    assert correlation[frequency < 0.25].min() > 0.9
    assert np.sum(volume * mean) / np.sum(mean * mean) == pytest.approx(1, abs=0.15)


def test_an_interrupted_fetch_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_published("cryobench/igg-1d", tmp_path / "whole")
    out = tmp_path / "d"
    server.breaks_after = 200_000
    with pytest.raises(UserError, match="repeat the command later"):
        fetch_published("cryobench/igg-1d", out)
    assert not (out / "particles").exists()
    server.breaks_after = None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # In the middle of the stacks, and between the stacks and the truth.
    for place in ("StackWriter.append", "_write_truth"):
        with monkeypatch.context() as context:
            context.setattr(f"cryoarena.datasets.cryobench_convert.{place}", interrupt)
            with pytest.raises(KeyboardInterrupt):
                fetch_published("cryobench/igg-1d", out)
    server.status = 503
    fetch_published("cryobench/igg-1d", out)
    assert digest(out) == digest(tmp_path / "whole")


def test_a_full_folder_is_kept_unless_allowed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="is not empty; add --overwrite"):
        fetch_published("cryobench/igg-1d", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert server.sent_bytes == 0


def test_a_disk_that_is_too_small_is_told_before_downloading(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original_record = Server.record

    def huge(self: Server, number: int) -> dict:
        record = original_record(self, number)
        record["files"][0]["size"] = 10**18
        return record

    monkeypatch.setattr(Server, "record", huge)
    with pytest.raises(UserError, match="no space left"):
        fetch_published("cryobench/igg-1d", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_noise_levels_are_chosen(server: Server, published: Files, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--snr 0.5 is not published; there are 0.01, 0.005, 0.001"):
        fetch_published("cryobench/igg-1d", tmp_path / "d", snr="0.5")
    with pytest.raises(UserError, match=r"cryobench/igg-rl has one noise level; leave it out"):
        fetch_published("cryobench/igg-rl", tmp_path / "d", snr="0.01")
    assert server.sent_bytes == 0
    with pytest.raises(UserError, match=r"no images of SNR 0.005 are among the published files; there are 0.001, 0.01"):
        fetch_published("cryobench/igg-1d", tmp_path / "d", snr="0.005")
    # Those of the other level are black here.
    with pytest.raises(UserError, match="maps or images are empty"):
        fetch_published("cryobench/igg-1d", tmp_path / "e", snr="0.001")


def test_without_labels_every_stack_is_a_conformation(server: Server, published: Files, tmp_path: Path) -> None:
    server.records[CONF_HET] = {"IgG-1D.tar.gz": tarred(without(published, "gt_latents"))}
    fetch_published("cryobench/igg-1d", tmp_path / "d")
    conformation = open_truth(tmp_path / "d").conformation
    np.testing.assert_array_equal(conformation, np.repeat(np.arange(CONFORMATIONS), IMAGES // CONFORMATIONS))


def test_a_set_without_true_maps_has_its_latents(server: Server, published: Files, tmp_path: Path) -> None:
    latents = np.random.default_rng(1).normal(size=(IMAGES, 2))
    files = without(without(published, "vols/"), "snr0.001") | {"IgG-1D/gt_latents.pkl": pickle.dumps(latents)}
    single = {Path(name).name: content for name, content in files.items() if "MACOSX" not in name}
    server.records[MD] = single
    fetch_published("cryobench/spike-md", tmp_path / "d")
    truth = open_truth(tmp_path / "d")
    assert len(truth.population) == IMAGES
    assert len(truth.mapped) == 0
    np.testing.assert_allclose(truth.embedding(), latents)
    answer = Answer(latents.astype(np.float32), lambda rows: np.zeros((len(rows), BOX, BOX, BOX), np.float32))
    results = judge(answer, truth, judged_rows(truth, 10), lambda *_: None)
    failed = {
        name: result for name, result in results.items() if isinstance(result, NoResult) and result.status == "failed"
    }
    assert not failed


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (".mrcs", r"no stacks of different names \(.mrcs\) are among the published files: .*combined_poses.pkl"),
        ("poses", r"0 of the published files hold poses .* of 480 images where one should: .*gt_latents.pkl"),
        ("ctfs", r"0 of the published files hold CTF parameters of 480 images"),
        ("images/snr0.01/5_", r"hold poses .* of 420 images"),
        ("vols/", r"igg-1d: the published files hold no labels|true maps are not published"),
    ],
)
def test_what_is_missing_is_said(server: Server, published: Files, tmp_path: Path, missing: str, sentence: str) -> None:
    files = without(published, missing)
    if missing == "vols/":
        files = without(files, "gt_latents")
    elif missing.startswith("images"):
        files = without(files, "sorted_particles")
    assert re.search(sentence, refusal(server, files, tmp_path / "d"))


def test_poses_of_another_convention_are_refused(server: Server, published: Files, tmp_path: Path) -> None:
    rotation, shift = pickle.loads(published["IgG-1D/combined_poses.pkl"])
    for name, poses, sentence in (
        ("a", (rotation, -shift), "if their poses are read with shifts of the opposite sign"),
        ("b", (np.swapaxes(rotation, 1, 2), shift), "if their poses are read with rotations from image to object"),
        ("c", (rotation[::-1], shift[::-1]), "do not show the maps at their poses|if their poses are read"),
    ):
        assert re.search(
            sentence, refusal(server, published | {"IgG-1D/combined_poses.pkl": pickle.dumps(poses)}, tmp_path / name)
        )


def test_hostile_archives_and_pickles_do_nothing(server: Server, published: Files, tmp_path: Path) -> None:
    assert re.search(
        "lies outside of the archive; it is not unpacked", refusal(server, {"../evil.mrcs": b"x"}, tmp_path / "d")
    )
    assert not (tmp_path / "evil.mrcs").exists()
    hostile = published | {"IgG-1D/combined_poses.pkl": b"cos\nsystem\n(S'touch /tmp/evil-pickle'\ntR."}
    assert re.search("0 of the published files hold poses", refusal(server, hostile, tmp_path / "e"))
    assert not Path("/tmp/evil-pickle").exists()


def test_unknown_names_and_records_without_the_set(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing published is called 'igg-1d'; there are cryobench/igg-1d"):
        fetch_published("igg-1d", tmp_path / "d")
    server.records[CONF_HET] = {"README.txt": b"hello"}
    with pytest.raises(UserError, match=r"has no file of cryobench/igg-1d; it has README.txt"):
        fetch_published("cryobench/igg-1d", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_broken_archive_is_said(server: Server, tmp_path: Path) -> None:
    server.records[CONF_HET] = {"IgG-1D.zip": b"PK no archive"}
    with pytest.raises(UserError, match=r"IgG-1D.zip cannot be unpacked"):
        fetch_published("cryobench/igg-1d", tmp_path / "d")
