"""Pickles of `recovar pipeline`, harmless and hostile, in folders written as RECOVAR 1.0.5 does."""

import argparse
import json
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cryoarena.benchmark.import_result import import_result
from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.recovar.read_output import ImportOptions, read_output
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.dataset_folder import open_particles
from simulated import make_small_dataset

N, BOX_PX, ZDIM = 20, 16, 2


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.folder),)


class JaxArray:
    """Pickles as an array of jax does."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> object:
        make, arguments, state = self.array.__reduce__()
        return sys.modules["jax._src.array"]._reconstruct_array, (make, arguments, state, {"weak_type": False})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=N, box_px=BOX_PX)


@pytest.fixture
def folder(tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of a pipeline; in place of `compute_state` what it does first: to open its pickles."""
    out = tmp_path / "project" / "pipeline"
    (out / "model" / f"zdim_{ZDIM}").mkdir(parents=True)
    given = {"particles": str(dataset / "particles.star"), "uninvert_data": "true"}
    job = {"command": "pipeline", "status": "completed", "command_line": "python recovar x", "parameters": given}
    (out / "job.json").write_text(json.dumps(job))
    metadata = {"recovar_version": "1.0.5", "original_particles_file": None, "volume_shape": [BOX_PX] * 3}
    (out / "model" / "metadata.json").write_text(json.dumps(metadata | {"zdims_computed": [ZDIM]}))
    np.save(out / "model" / f"zdim_{ZDIM}" / "latent_coords.npy", np.zeros((N, ZDIM), np.float32))
    for name in ("halfsets", "particles_halfsets"):
        dump(out / "model" / f"{name}.pkl", [np.arange(0, N, 2), np.arange(1, N, 2)])
    # Of --keep-intermediate; never opened.
    dump(out / "model" / "covariance_cols.pkl", {"est_mask": np.ones(3, np.complex64)})
    write_parameters(out, monkeypatch)

    def open_pickles(command: Command, executables: Path, work: Path, log: Path) -> None:
        for name in ("params", "halfsets", "particles_halfsets", "embeddings"):
            if (path := Path(command.words[2]) / "model" / f"{name}.pkl").is_file():
                pickle.loads(path.read_bytes())
        raise UserError("all pickles are opened")

    monkeypatch.setattr("cryoarena.methods.external.recovar.states.run_program", open_pickles)
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.require", lambda self: Path("/opt/bin"))
    return out


def dump(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content))


def write_parameters(folder: Path, monkeypatch: pytest.MonkeyPatch, more: object = None, **arguments: object) -> None:
    jax = ModuleType("jax._src.array")

    def _reconstruct_array(make, arguments, state, aval_state):
        array = make(*arguments)
        array.__setstate__(state)
        return array

    _reconstruct_array.__module__, _reconstruct_array.__qualname__ = jax.__name__, _reconstruct_array.__name__
    jax._reconstruct_array = _reconstruct_array
    for name in ("jax", "jax._src", jax.__name__):
        monkeypatch.setitem(sys.modules, name, jax)
    given = argparse.Namespace(**({"ctf": None, "poses": None, "zdim": [ZDIM]} | arguments))
    content = {"voxel_size": np.float32(3), "s": np.ones(4, np.float32), "variance": {"prior": JaxArray(np.ones(8))}}
    dump(folder / "model" / "params.pkl", content | {"input_args": given, "more": more})


def assert_refused(folder: Path, dataset: Path, sentence: str) -> None:
    out = folder.parent / "result"
    with pytest.raises(UserError, match=sentence):
        import_result("recovar", folder, dataset, out)
    assert not out.exists()
    assert not (folder.parent / "run").exists()


def test_pickles_that_do_no_harm_are_handed_over(folder: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_refused(folder, dataset, "all pickles are opened")
    ctf = folder.parent / "ctf.pkl"
    dump(ctf, np.ones((N, 9)))
    write_parameters(folder, monkeypatch, ctf=str(ctf), poses="/gone/poses.pkl")
    assert_refused(folder, dataset, "all pickles are opened")


@pytest.mark.parametrize("name", ["params", "halfsets", "particles_halfsets", "embeddings"])
def test_a_hostile_pickle_is_told_and_not_run(folder: Path, dataset: Path, name: str) -> None:
    particles = open_particles(dataset)
    dump(folder / "model" / f"{name}.pkl", {"input_args": Hostile(folder.parent / "run")})
    assert_refused(folder, dataset, rf"model/{name}\.pkl asks for posix\.mkdir; only plain arrays")
    saved = folder.parent / "model"
    saved.mkdir()
    found = read_output(folder, particles, ImportOptions())
    found.save(saved)
    with pytest.raises(UserError, match=rf"{name}\.pkl asks for posix\.mkdir"):
        methods.get("recovar").load(saved, particles).volumes_at(found.embedding[:1])
    assert not (folder.parent / "run").exists()


def test_what_jax_is_asked_for_is_no_way_around(folder: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hidden:
        def __reduce__(self) -> object:
            arguments = (os.mkdir, (str(folder.parent / "run"),), (), {})
            return sys.modules["jax._src.array"]._reconstruct_array, arguments

    write_parameters(folder, monkeypatch, more=Hidden())
    assert_refused(folder, dataset, r"params\.pkl asks for posix\.mkdir")


def test_what_the_parameters_name_is_looked_at_too(
    folder: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = folder.parent / "evil.pkl"
    dump(evil, Hostile(folder.parent / "run"))
    for name in ("ctf", "poses"):
        write_parameters(folder, monkeypatch, **{name: str(evil)})
        assert_refused(folder, dataset, r"evil\.pkl asks for posix\.mkdir")
    write_parameters(folder, monkeypatch, ind=str(evil))
    # Without half-sets RECOVAR would look for rows.
    dump(folder / "model" / "halfsets.pkl", None)
    assert_refused(folder, dataset, r"halfsets\.pkl holds a NoneType")
    (folder / "model" / "halfsets.pkl").unlink()
    assert_refused(folder, dataset, r"halfsets\.pkl does not exist")


def test_parameters_that_are_none(folder: Path, dataset: Path) -> None:
    dump(folder / "model" / "params.pkl", [1])
    assert_refused(folder, dataset, r"params\.pkl does not tell what RECOVAR was given")
