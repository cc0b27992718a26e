"""Read what RELION, RECOVAR and cryoDRGN wrote as answers that the metrics judge like those of any method.

Row i of an answer belongs to particle i of the truth. RELION's rows are matched by image name; the others keep the
order of the particle table.
"""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import starfile
from numpy.typing import NDArray

from cryoarena.benchmark.score import match_rows
from cryoarena.datasets.truth import Truth
from cryoarena.errors import UserError
from cryoarena.methods.result_folder import open_result
from cryoarena.metrics.judge import Answer
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.volumes.mrc import read_volume


def answer_of(program: str, folder: Path, maps: Path | None, truth: Truth) -> Answer:
    """Read the answer of one run.

    Args:
        program: relion, recovar, cryodrgn or cryoarena.
        folder: RELION: where run_itNNN_data.star are. RECOVAR: the output of `recovar pipeline`, with /zdim_N of its
            model folder. cryoDRGN: the z.N.pkl to take. CryoArena: a result folder.
        maps: RELION: a folder of reconstructed_classNNN.mrc to take instead of its own maps. RECOVAR and cryoDRGN: a
            folder of maps, in the order of the rows of its latents.txt (`peer_latents.py`); None to judge latents only.
        truth: of the dataset.
    """
    if program == "cryoarena":
        return match_rows(open_result(folder, open_particles(truth.folder)), truth)
    rows = rows_of_truth(truth)
    if program == "relion":
        return _relion(folder, maps, truth, rows)
    latents = latents_of(program, folder)[rows]
    return Answer(latents, _no_maps if maps is None else _nearest(maps, latents))


def latents_of(program: str, path: Path) -> NDArray[np.float32]:
    """Return the latents (N, d) in the order of the particle table."""
    if program == "recovar":
        return np.load(path / "latent_coords.npy").astype(np.float32)
    with path.open("rb") as stream:
        # Two pickles one after the other: means and logarithms of variances.
        return np.asarray(pickle.load(stream), np.float32)


def rows_of_truth(truth: Truth) -> NDArray[np.int64]:
    """Return the row (N,) of the particle table that each particle of the truth is in."""
    ids = open_particles(truth.folder).particle_id
    order = np.argsort(ids)
    return np.asarray(order[np.searchsorted(ids, truth.particle_id, sorter=order)])


def _relion(folder: Path, reconstructed: Path | None, truth: Truth, rows: NDArray[np.int64]) -> Answer:
    last = sorted(folder.glob("run_it*_data.star"))[-1]
    number_of = starfile.read(last)["particles"].set_index("rlnImageName")["rlnClassNumber"]
    names = starfile.read(truth.folder / "particles.star")["particles"]["rlnImageName"].to_numpy()[rows]
    number = number_of.loc[names].to_numpy(np.int64)
    own = sorted(folder.glob(last.name.replace("data.star", "class*.mrc")))
    paths = own if reconstructed is None else sorted(reconstructed.glob("reconstructed_class*.mrc"))
    path_of = {int(re.findall(r"class(\d+)", path.name)[0]): path for path in paths}

    def maps_of(judged: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack([read_volume(path_of[number[row]])[0] for row in judged])

    posterior = np.eye(len(own), dtype=np.float32)[number - 1]
    return Answer(posterior, maps_of, posterior)


def _no_maps(judged: NDArray[np.int64]) -> NDArray[np.float32]:
    raise UserError("no maps were made")


def _nearest(maps: Path, latents: NDArray[np.float32]) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Return what gives, for each row, the map made at the latent nearest to its own."""
    made_at = np.loadtxt(maps / "latents.txt", ndmin=2)
    # RECOVAR keeps half-maps beside its maps.
    paths = [path for path in sorted(maps.glob("*.mrc")) if "half" not in path.name]
    if len(paths) != len(made_at):
        raise UserError(f"{maps} has {len(paths)} maps for {len(made_at)} latents; make them again")

    def maps_of(judged: NDArray[np.int64]) -> NDArray[np.float32]:
        nearest = np.square(latents[judged, None] - made_at).sum(axis=-1).argmin(axis=1)
        return np.stack([read_volume(paths[number])[0] for number in nearest])

    return maps_of
