"""Results of unknown programs: tables in every form, and every mistake that a user can make in them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.files import read_json
from cryoarena.methods.base import NoMaps
from cryoarena.methods.result_folder import Result, open_result
from cryoarena.particles.dataset_folder import open_particles, write_folder
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_resize_volume
from cryosparc_jobs import write_maps
from random_particles import make_particles

N, BOX_PX, PIXEL_A = 30, 8, 1.5
RNG = np.random.default_rng(3)
LATENTS = RNG.normal(size=(N, 2)).astype(np.float32)
OF_CLASS = RNG.integers(1, 4, N)
ORDER = RNG.permutation(N)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_folder(tmp_path / "set", make_particles(tmp_path / "set", N, BOX_PX, PIXEL_A, shard=7))
    return tmp_path / "set"


@pytest.fixture
def particles(dataset: Path) -> ParticleSet:
    return open_particles(dataset)


def imported(table: Path, dataset: Path, *arguments: str | Path) -> Result:
    out = dataset.parent / "result"
    words = ["import", "table", table, "--dataset", dataset, "-o", out, "--overwrite", *arguments]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output + done.stderr
    return open_result(out, open_particles(dataset))


def refusal(table: Path, dataset: Path, *arguments: str | Path) -> str:
    out = dataset.parent / "refused"
    words = ["import", "table", table, "--dataset", dataset, "-o", out, *arguments]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 2, done.output
    assert len(done.stderr.splitlines()) == 1
    assert not out.exists()
    return done.stderr


def image_names(particles: ParticleSet) -> list[str]:
    stacks = [particles.stack_files[stack].name for stack in particles.stack_index]
    return [f"{index + 1:06d}@{stack}" for index, stack in zip(particles.slice_index, stacks, strict=True)]


def write_csv(folder: Path, particles: ParticleSet, order: np.ndarray = ORDER, by: str = "id", **more) -> Path:
    """Write latents and more columns in a given order."""
    frame = pd.DataFrame({"z0": LATENTS[:, 0], "z1": LATENTS[:, 1]} | more)
    if by == "id":
        frame.insert(0, "particle_id", particles.particle_id)
    else:
        frame.insert(2, by, image_names(particles))
    frame.iloc[order].to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


@pytest.mark.parametrize("by", ["id", "image", "rlnImageName"])
@pytest.mark.parametrize("kept", [N, N - 4])
def test_latents_whatever_the_order(tmp_path: Path, dataset: Path, particles, by: str, kept: int) -> None:
    table = write_csv(tmp_path, particles, ORDER[:kept], by)
    result = imported(table, dataset, "--set", "program=MyTool 0.3")
    rows = np.sort(ORDER[:kept])
    np.testing.assert_array_equal(result.particle_id, particles.particle_id[rows])
    np.testing.assert_allclose(result.embedding, LATENTS[rows], rtol=1e-5)
    assert result.info["found"] == {"program": "MyTool 0.3"}
    assert any("not in the table" in note for note in result.info["notes"]) == (kept < N)
    with pytest.raises(NoMaps):
        result.volumes_at(result.embedding)


def test_a_star_of_the_program(tmp_path: Path, dataset: Path) -> None:
    lines = (dataset / "particles.star").read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("_"))
    count = int(lines[last].split("#")[1]) if "#" in lines[last] else 0
    heads = [f"_rlnLatent{axis} #{count + 1 + axis}" for axis in range(2)]
    rows = [number for number, line in enumerate(lines) if "@" in line]
    told = [f"{lines[number]} {LATENTS[row, 0]:.7g} {LATENTS[row, 1]:.7g}" for row, number in enumerate(rows)]
    table = tmp_path / "out.star"
    kept = [told[row] for row in ORDER]
    table.write_text("\n".join([*lines[: last + 1], *heads, *kept, ""]).replace("_rlnParticleName", "_rlnUnknown"))
    result = imported(table, dataset, "--set", "latents=rlnLatent0,rlnLatent1")
    np.testing.assert_allclose(result.embedding, LATENTS, rtol=1e-5)
    assert "has no column rlnLatent7; it has rln" in refusal(table, dataset, "--set", "latents=rlnLatent7")


def test_a_star_with_ids_and_classes_in_words(tmp_path: Path, dataset: Path, particles: ParticleSet) -> None:
    words = ["open", "closed", "7"]
    ids = particles.particle_id.astype(np.uint64).tolist()
    rows = [f"{ids[row]} {words[row % 3]}" for row in ORDER]
    table = tmp_path / "classes.star"
    table.write_text("\n".join(["data_particles", "", "loop_", "_rlnParticleName #1", "_myClass #2", *rows, ""]))
    result = imported(table, dataset, "--set", "label=myClass")
    of_row = dict(zip(result.particle_id.tolist(), result.posterior.argmax(axis=1).tolist(), strict=True))
    classes = [{of_row[number] for number in particles.particle_id[start::3].tolist()} for start in range(3)]
    assert sorted(map(tuple, classes)) == [(0,), (1,), (2,)]


@pytest.mark.parametrize("ids", ["none", "npy", "txt", "images", "star"])
def test_an_array(tmp_path: Path, dataset: Path, particles: ParticleSet, ids: str) -> None:
    order = np.arange(N) if ids in ("none", "star") else ORDER
    np.save(tmp_path / "z.npy", LATENTS[order].astype(np.float64))
    np.save(tmp_path / "ids.npy", particles.particle_id[order])
    (tmp_path / "ids.txt").write_text("particle_id\n" + "\n".join(map(str, particles.particle_id[order])))
    (tmp_path / "images.txt").write_text("\n".join(image_names(particles)[row] for row in order))
    files = {"npy": tmp_path / "ids.npy", "txt": tmp_path / "ids.txt", "images": tmp_path / "images.txt"}
    files["star"] = dataset / "particles.star"
    given = [] if ids == "none" else ["--set", f"ids={files[ids]}"]
    result = imported(tmp_path / "z.npy", dataset, *given)
    np.testing.assert_allclose(result.embedding, LATENTS, rtol=1e-6)
    np.testing.assert_array_equal(result.particle_id, particles.particle_id)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["run_it025_class001.mrc", "run_it025_class002.mrc", "run_it025_class003.mrc"], OF_CLASS),
        (["a.mrc", "open.mrc", "shut.mrc"], np.array(["", "a", "open", "shut"])[OF_CLASS]),
    ],
)
def test_classes_and_a_map_of_each(tmp_path: Path, dataset: Path, particles: ParticleSet, names, labels) -> None:
    frame = pd.DataFrame({"image": image_names(particles), "label": labels})
    frame.iloc[ORDER].to_csv(tmp_path / "classes.csv", index=False)
    (tmp_path / "maps").mkdir()
    maps = write_maps(tmp_path / "maps", names, BOX_PX, PIXEL_A)
    result = imported(tmp_path / "classes.csv", dataset, "--maps", tmp_path / "maps")
    np.testing.assert_array_equal(result.posterior, np.eye(3)[OF_CLASS - 1])
    np.testing.assert_allclose(result.volumes_at(result.embedding), maps[OF_CLASS - 1], atol=1e-6)


def test_classes_or_one_latent_in_an_array(tmp_path: Path, dataset: Path) -> None:
    np.save(tmp_path / "a.npy", OF_CLASS)
    np.testing.assert_array_equal(imported(tmp_path / "a.npy", dataset).posterior, np.eye(3)[OF_CLASS - 1])
    np.save(tmp_path / "a.npy", LATENTS[:, 0])
    np.testing.assert_array_equal(imported(tmp_path / "a.npy", dataset).embedding, LATENTS[:, :1])
    assert "not (N,) whole numbers of classes" in refusal(tmp_path / "a.npy", dataset, "--set", "values=classes")


def test_probabilities_and_smaller_inverted_maps(tmp_path: Path, dataset: Path) -> None:
    posterior = RNG.dirichlet([1, 1, 1], N)
    np.save(tmp_path / "p.npy", posterior)
    (tmp_path / "maps").mkdir()
    # Their headers are wrong, as many a program leaves them.
    maps = write_maps(tmp_path / "maps", ["m0.mrc", "m1.mrc", "m2.mrc"], 6, 1.0)
    arguments = ["--set", "values=probabilities", "--maps", tmp_path / "maps", "--set", "inverted=yes"]
    assert "shows 6 voxels of 1 Å, 6.0 Å in all" in refusal(tmp_path / "p.npy", dataset, *arguments)
    result = imported(tmp_path / "p.npy", dataset, *arguments, "--set", "pixel_size_A=2")
    np.testing.assert_allclose(result.posterior, posterior, rtol=1e-5)
    shown = read_maps_of(result)
    np.testing.assert_allclose(shown, [-fourier_resize_volume(volume, BOX_PX) for volume in maps], atol=1e-6)


def read_maps_of(result: Result) -> np.ndarray:
    """Return the maps at the latents of volumes.csv."""
    table = pd.read_csv(result.folder / "volumes.csv")
    return result.volumes_at(table.filter(regex=r"^z\d").to_numpy(np.float32))


@pytest.mark.parametrize("of", ["latents", "particles", "classes"])
def test_maps_of_latents(tmp_path: Path, dataset: Path, particles: ParticleSet, of: str) -> None:
    table = write_csv(tmp_path, particles, **({"class": OF_CLASS} if of == "classes" else {}))
    (tmp_path / "maps").mkdir()
    names = ["x.mrc", "y.mrc", "w.mrc"]
    maps = write_maps(tmp_path / "maps", names, BOX_PX, PIXEL_A)
    if of == "latents":
        centres = np.array([[-1, 0], [0, 0], [1, 0]], np.float32)
        listed = pd.DataFrame({"volume": names, "z0": centres[:, 0], "z1": centres[:, 1]})
    elif of == "particles":
        centres = LATENTS[[4, 20, 11]]
        listed = pd.DataFrame({"volume": names, "particle_id": particles.particle_id[[4, 20, 11]]})
    else:
        listed = pd.DataFrame({"volume": names, "class": [2, 1, 3]})
    listed.to_csv(tmp_path / "maps" / "volumes.csv", index=False)
    result = imported(table, dataset, "--maps", tmp_path / "maps")
    if of == "classes":
        expected = maps[np.array([1, 0, 2])[OF_CLASS - 1]]
    else:
        nearest = np.square(LATENTS[:, None] - centres).sum(axis=2).argmin(axis=1)
        expected = maps[nearest]
    np.testing.assert_allclose(result.volumes_at(result.embedding), expected, atol=1e-6)


def test_the_result_needs_none_of_its_sources(tmp_path: Path, dataset: Path, particles: ParticleSet) -> None:
    table = write_csv(tmp_path, particles, **{"class": OF_CLASS})
    (tmp_path / "maps").mkdir()
    maps = write_maps(tmp_path / "maps", ["1.mrc", "2.mrc", "3.mrc"], BOX_PX, PIXEL_A)
    result = imported(table, dataset, "--maps", tmp_path / "maps")
    for path in (tmp_path / "maps").iterdir():
        path.unlink()
    np.testing.assert_allclose(result.volumes_at(LATENTS[:1]), maps[OF_CLASS[:1] - 1], atol=1e-6)
    assert read_json(result.folder / "result.json")["imported"] is True


def test_rows_that_are_not_of_the_dataset(tmp_path: Path, dataset: Path, particles: ParticleSet) -> None:
    table = write_csv(tmp_path, particles, np.arange(N))
    text = table.read_text()
    first = str(particles.particle_id[0])
    table.write_text(text.replace(first, "7"))
    assert f"row 1 of {table} is of particle '7', which the dataset does not have" in refusal(table, dataset)
    table.write_text(text.replace(str(particles.particle_id[1]), first))
    assert f"row 2 of {table} names particle {first} again" in refusal(table, dataset)
    table.write_text(text.replace("particle_id", "number"))
    assert "no column that tells particles; add particle_id" in refusal(table, dataset)
    table = write_csv(tmp_path, particles, np.arange(N), "image")
    table.write_text(table.read_text().replace("000003@0001.mrcs", "3 of 0001.mrcs"))
    assert f"row 10 of {table} has '3 of 0001.mrcs', which is not NNNNNN@stack.mrcs" in refusal(table, dataset)
    np.save(tmp_path / "z.npy", LATENTS[:-2])
    assert "has 28 rows but the dataset has 30 particles; give the ids" in refusal(tmp_path / "z.npy", dataset)


def test_values_that_are_none(tmp_path: Path, dataset: Path, particles: ParticleSet) -> None:
    table = write_csv(tmp_path, particles, np.arange(N))
    text = table.read_text()
    table.write_text(text.replace(text.splitlines()[5].split(",")[2], "n/a"))
    assert f"row 5 of {table} has 'n/a' in column z1, which is no number" in refusal(table, dataset)
    table.write_text(text.replace("z0,z1", "u,v"))
    assert "no columns of latents (z0, z1, …)" in refusal(table, dataset)
    np.testing.assert_allclose(imported(table, dataset, "--set", "latents=v,u").embedding, LATENTS[:, ::-1], rtol=1e-5)
    table = write_csv(tmp_path, particles, p0=np.full(N, 0.5), p1=np.full(N, 0.4))
    assert "add up to 0.9" in refusal(table, dataset)
    z = LATENTS.copy()
    z[8, 1] = np.nan
    np.save(tmp_path / "z.npy", z)
    assert "row 9 of" in refusal(tmp_path / "z.npy", dataset)


def test_files_that_are_no_tables(tmp_path: Path, dataset: Path) -> None:
    class Hostile:
        def __reduce__(self):
            return Path.mkdir, (tmp_path / "executed",)

    np.save(tmp_path / "z.npy", np.array([Hostile()] * N, object), allow_pickle=True)
    assert "z.npy is no plain array file" in refusal(tmp_path / "z.npy", dataset)
    assert not (tmp_path / "executed").exists()
    (tmp_path / "z.pkl").write_bytes(b"anything")
    assert "is no .csv, .npy or .star file" in refusal(tmp_path / "z.pkl", dataset)
    (tmp_path / "z.csv").write_text("")
    assert "is not a .csv file with a header" in refusal(tmp_path / "z.csv", dataset)
    assert "is no file" in refusal(tmp_path, dataset)
    np.save(tmp_path / "z.npy", LATENTS)
    assert "has no columns to name by latents" in refusal(tmp_path / "z.npy", dataset, "--set", "latents=z0")
    assert "values must be latents, classes or probabilities" in refusal(
        tmp_path / "z.npy", dataset, "--set", "values=maps"
    )


def test_maps_that_do_not_match(tmp_path: Path, dataset: Path, particles: ParticleSet) -> None:
    maps = tmp_path / "maps"
    table = write_csv(tmp_path, particles)
    assert "is no folder; give the folder of the maps" in refusal(table, dataset, "--maps", maps)
    maps.mkdir()
    write_maps(maps, ["1.mrc", "2.mrc"], BOX_PX, PIXEL_A)
    assert "has no volumes.csv that tells what each map belongs to" in refusal(table, dataset, "--maps", maps)
    (maps / "volumes.csv").write_text("volume,z0,z1\n1.mrc,0,1\n3.mrc,1,0\n")
    assert f"names {maps / '3.mrc'}, which does not exist" in refusal(table, dataset, "--maps", maps)
    (maps / "volumes.csv").write_text("volume,z0\n1.mrc,0\n")
    assert "has 1 columns of latents but particles have 2 (z0, z1)" in refusal(table, dataset, "--maps", maps)
    (maps / "volumes.csv").unlink()
    table = write_csv(tmp_path, particles, **{"class": OF_CLASS})
    assert "are of the classes 1, 2 but particles of 1, 2, 3" in refusal(table, dataset, "--maps", maps)
    assert "option inverted is about maps" in refusal(table, dataset, "--set", "inverted=yes")
