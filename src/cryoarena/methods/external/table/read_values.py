"""What a table says of particles: latents, classes, probabilities."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.match_rows import match_table
from cryoarena.methods.external.table.columns import Columns, read_columns, rows_of_words
from cryoarena.methods.external.table.options import TableOptions
from cryoarena.methods.read_array import read_array
from cryoarena.particles.particle_set import ParticleSet

LATENTS = r"(?:z|latent|component|pc)_?(\d+)"
LABELS = ("class", "label", "rlnClassNumber")
_PROBABILITIES = r"(?:p|posterior|probability)_?(\d+)"
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True)
class Values:
    """What is known of M particles.

    Attributes:
        rows: (M,) of the particle set, ascending.
        latents: (M, d), or None.
        posterior: (M, K) class probabilities, or None.
        classes: names of the K classes; None where they have none (an .npy).
        latent_columns: names of the d latents.
    """

    rows: NDArray[np.int64]
    latents: NDArray[np.float32] | None
    posterior: NDArray[np.float32] | None
    classes: tuple[str, ...] | None
    latent_columns: tuple[str, ...]


def read_values(path: Path, particles: ParticleSet, options: TableOptions) -> Values:
    """Read a .csv, .star or .npy, with rows in the order of the dataset.

    Raises:
        UserError: when it is none of these, tells nothing, or its rows are not of particles of the set.
    """
    if path.suffix == ".npy":
        for name in ("latents", "label", "probabilities"):
            if getattr(options, name) is not None:
                raise UserError(f"{path} has no columns to name by {name}; tell what it holds by values")
        return _from_array(path, particles, options)
    if path.suffix not in (".csv", ".star"):
        raise UserError(f"{path} is no .csv, .npy or .star file; save the table as one of them")
    if options.ids is not None or options.values is not None:
        raise UserError(f"ids and values go with an .npy file; {path} tells them by its columns")
    table = read_columns(path)
    rows = table.rows(particles)
    order = np.argsort(rows)
    latent_columns = _listed(options.latents) or table.numbered(LATENTS)
    probabilities = _listed(options.probabilities) or table.numbered(_PROBABILITIES)
    label = options.label or table.first_of(LABELS)
    if not (latent_columns or probabilities or label):
        raise UserError(
            f"{path} has no columns of latents (z0, z1, …), class probabilities (p0, p1, …) or a class; name them by "
            f"--set latents=, probabilities= or label=; it has {', '.join(table.words)}"
        )
    posterior, classes = None, None
    if probabilities:
        posterior, classes = _checked(path, table.numbers(probabilities)), tuple(_number_of(n) for n in probabilities)
    elif label:
        posterior, classes = _one_hot(table, label)
    latents = table.numbers(latent_columns)[order] if latent_columns else None
    return Values(rows[order], latents, None if posterior is None else posterior[order], classes, tuple(latent_columns))


def _from_array(path: Path, particles: ParticleSet, options: TableOptions) -> Values:
    holds = options.values
    if holds not in (None, "latents", "classes", "probabilities"):
        raise UserError(f"option values must be latents, classes or probabilities, not {holds!r}")
    values = read_array(path, (1, 2), "fiu", "(N,) classes, (N, d) latents or (N, K) probabilities")
    if holds is None:
        holds = "classes" if values.ndim == 1 and values.dtype.kind in "iu" else "latents"
    if holds == "classes" and not (values.ndim == 1 and values.dtype.kind in "iu"):
        raise UserError(
            f"{path} holds {values.dtype} values of shape {values.shape}, not (N,) whole numbers of classes"
        )
    values = values if holds == "classes" else values.reshape(len(values), -1)
    rows = _rows_of_ids(options.ids, particles) if options.ids else np.arange(len(particles))
    if len(values) != len(rows):
        whose = f"{options.ids} names {len(rows)}" if options.ids else f"the dataset has {len(rows)}"
        raise UserError(
            f"{path} has {len(values)} rows but {whose} particles; give the ids or images of its rows by --set ids=FILE"
        )
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise UserError(f"row {row + 1} of {path} is not finite; remove it and name the others by --set ids=FILE")
    order = np.argsort(rows)
    if holds == "classes":
        names, number = np.unique(values, return_inverse=True)
        posterior = np.eye(len(names), dtype=np.float32)[number]
        return Values(rows[order], None, posterior[order], tuple(str(name) for name in names), ())
    if holds == "probabilities":
        return Values(rows[order], None, _checked(path, values)[order], None, ())
    columns = tuple(f"z{axis}" for axis in range(values.shape[1]))
    return Values(rows[order], values.astype(np.float32)[order], None, None, columns)


def _rows_of_ids(path: Path, particles: ParticleSet) -> NDArray[np.int64]:
    if path.suffix in (".star", ".cs"):
        return match_table(path, particles)
    if path.suffix == ".npy":
        ids = read_array(path, 1, "iu", "(N,) particle ids").astype(np.uint64)
        return rows_of_words(path, [str(number) for number in ids.tolist()], particles)
    words = path.read_text(encoding="utf-8", errors="replace").split()
    # A header does no harm.
    words = words[1:] if words and not re.match(r"\d", words[0]) else words
    if not words:
        raise UserError(f"{path} names no particles; write one id or image per line")
    return rows_of_words(path, words, particles)


def _one_hot(table: Columns, label: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    table.require([label])
    words = table.words[label]
    if "" in words:
        raise UserError(f"row {words.index('') + 1} of {table.path} has no {label}; remove the row")
    names = sorted(set(words), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    place = {name: number for number, name in enumerate(names)}
    return np.eye(len(names), dtype=np.float32)[[place[word] for word in words]], tuple(names)


def _checked(path: Path, posterior: NDArray[np.floating]) -> NDArray[np.float32]:
    total = posterior.sum(axis=1)
    if (wrong := (np.abs(total - 1) > _SUM_TOLERANCE) | (posterior < 0).any(axis=1)).any():
        row = int(wrong.argmax())
        raise UserError(
            f"the probabilities in row {row + 1} of {path} add up to {total[row]:.3g}, or one is negative; they must "
            "be of all classes and add up to 1"
        )
    return np.asarray(posterior / total[:, None], np.float32)


def _number_of(column: str) -> str:
    """Return the class that a column of probabilities is of: its number, or its name where it has none."""
    digits = re.search(r"(\d+)$", column)
    return str(int(digits[1])) if digits else column


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in names.split(",")] if names else []
