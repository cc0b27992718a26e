"""The maps that a method offers of itself: along its latent axes, or its classes, each beside the nearest truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryoarena.report.collect import ResultFolder
from cryoarena.report.latent import read_embedding
from cryoarena.report.truth import Truth, with_true_map

_MOST_STEPS = 10


@dataclass(frozen=True)
class Step:
    """One map of the method, its place among all, and the conformation of the nearest particle with a true map."""

    file: Path
    number: int
    count: int
    conformation: int | None


def latent_steps(result: ResultFolder, truth: Truth, notes: list[str]) -> list[Step]:
    """Return the first maps in the order of `volumes.csv`; none where a method has but one map, or the table is bad."""
    path = result.path / "volumes.csv"
    try:
        table = pd.read_csv(path)
        files = [result.path / "volumes" / str(name) for name in table["volume"]]
        latents = table.drop(columns="volume").to_numpy(np.float64)
    except (OSError, ValueError, KeyError) as error:
        if not isinstance(error, FileNotFoundError):
            notes.append(f"volumes.csv of {result.label} cannot be read ({error}).")
        return []
    if len(files) < 2:
        return []
    embedding = read_embedding(result, notes)
    nearest: dict[int, int] = {}
    if embedding is not None and truth.particles is not None and embedding[1].shape[1] == latents.shape[1]:
        ids, own = embedding
        known = with_true_map(truth.particles, truth.conformations)
        conformation = known.set_index("particle_id")["conformation"]
        usable = np.isin(ids, conformation.index) & np.isfinite(own).all(axis=1)
        ids, own = ids[usable], own[usable]
        for number, latent in enumerate(latents[:_MOST_STEPS] if len(own) else ()):
            row = int(np.square(own - latent).sum(axis=1).argmin())
            nearest[number] = int(conformation.loc[ids[row]])
    steps = [Step(file, number, len(files), nearest.get(number)) for number, file in enumerate(files[:_MOST_STEPS])]
    return [step for step in steps if step.file.is_file()]
