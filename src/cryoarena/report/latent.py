"""The latents of every result, matched to the true CVs by particle id."""

from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from cryoarena.report.collect import Group, ResultFolder
from cryoarena.report.packing import pack
from cryoarena.report.truth import Truth, spaced_unit
from cryoarena.report.umap_axes import umap_axes

_MAX_POINTS = 100_000
_MAX_AXES = 6
_MISSING = np.iinfo(np.int16).min
# Columns of truth/particles.parquet besides state and CVs: what they are called, and in which unit they are told.
_KINDS = {"junk": "junk", "neighbour": "neighbour", "session": "session", "optics_group": "optics group"}
_AMOUNTS = {
    "ice_nm": ("ice thickness", "nm", 1.0),
    "grey_scale": ("grey scale", "", 1.0),
    "defocus_u_A": ("defocus", "µm", 1e-4),
}


def latent_payload(group: Group, truth: Truth, notes: list[str], umap: bool = False) -> dict[str, Any] | None:
    """Return what the scatter plots need, with axes of UMAP if wanted, or None when no result has an embedding."""
    embeddings = []
    for result in group.results:
        loaded = read_embedding(result, notes)
        if loaded is not None:
            embeddings.append((result, *loaded))
    if not embeddings:
        return None
    if truth.particles is not None:
        ids = truth.particles["particle_id"].to_numpy(np.int64)
    else:
        ids = np.unique(np.concatenate([own for _, own, _ in embeddings]))
    # A fixed shuffle: points drawn last must not all belong to one conformation.
    rows = np.random.default_rng(0).permutation(len(ids))[:_MAX_POINTS]
    if len(ids) > _MAX_POINTS:
        notes.append(f"The latents show {_MAX_POINTS:,} of {len(ids):,} particles, drawn at random.")
    ids = ids[rows]
    cvs = []
    if truth.particles is not None:
        for cv in truth.cvs:
            column = f"cv_{cv['name']}"
            if column in truth.particles:
                values = truth.particles[column].to_numpy(np.float64)[rows]
                cvs.append(_cv(cv, values))
        cvs += _labels(truth.particles, rows) + _conditions(truth.particles, rows)
    plots = [_plot(result, own, latent, ids, umap) for result, own, latent in embeddings]
    return {"n": len(ids), "ids": pack(ids.astype(np.int64)), "cvs": cvs, "plots": plots}


def _labels(particles: pd.DataFrame, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the true state or conformation of every particle as something to colour by."""
    for name in ("state", "conformation"):
        if name in particles and particles[name].nunique() > 1:
            return [_cv({"name": name}, particles[name].to_numpy(np.float64)[rows]) | {"label": True}]
    return []


def _conditions(particles: pd.DataFrame, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return what else varies between particles and no latent should show: junk, and how they were recorded."""
    varying = [name for name in particles if particles[name].nunique() > 1]
    kinds = [_kind(name, particles[column].iloc[rows]) for column, name in _KINDS.items() if column in varying]
    amounts = [
        # Three decimals are more than colours tell, and keep the page small.
        _cv({"name": name, "unit": unit}, np.round(scale * particles[column].to_numpy(np.float64)[rows], 3))
        for column, (name, unit, scale) in _AMOUNTS.items()
        if column in varying
    ]
    return kinds + amounts


def _kind(name: str, values: pd.Series) -> dict[str, Any]:
    """Return labels to colour by; words are numbered in their alphabetical order."""
    if is_bool_dtype(values):
        values = values.map({False: "no", True: "yes"})
    if is_numeric_dtype(values):
        return _cv({"name": name}, values.to_numpy(np.float64)) | {"label": True}
    words = sorted(set(values))
    numbers = values.map(words.index).to_numpy(np.float64)
    return _cv({"name": name}, numbers) | {"label": True, "words": [word or "none" for word in words]}


def _cv(cv: dict[str, Any], values: NDArray[np.float64]) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    period = cv.get("period")
    if period:
        low, high = 0.0, float(period)
        values = np.mod(values, period)
    return {
        "name": str(cv["name"]),
        "unit": spaced_unit(cv),
        "period": float(period) if period else None,
        "label": False,
        "low": low,
        "high": high,
        "values": pack(values.astype(np.float32)),
    }


def read_embedding(result: ResultFolder, notes: list[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return particle ids (N,) and latents (N, d) of a run, or None and a note where they cannot be had."""
    if result.status != "ok":
        return None
    try:
        latent = np.asarray(np.load(result.path / "embedding.npy", allow_pickle=False), np.float64)
        ids = np.asarray(np.load(result.path / "particle_id.npy", allow_pickle=False)).astype(np.int64)
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        notes.append(f"The embedding of {result.label} {reason}.")
        return None
    if latent.ndim != 2 or len(latent) != len(ids) or latent.shape[1] == 0:
        notes.append(f"The embedding of {result.label} has shape {latent.shape}: it does not fit {len(ids)} ids.")
        return None
    return ids, latent


def _plot(
    result: ResultFolder, own: NDArray[np.int64], latent: NDArray[np.float64], ids: NDArray[np.int64], umap: bool
) -> dict[str, Any]:
    values, names = principal_axes(latent)
    order = np.argsort(own)
    position = np.clip(np.searchsorted(own[order], ids), 0, len(own) - 1)
    rows = order[position]
    there = own[rows] == ids
    shown = np.where(there[:, None], values[rows], np.nan)
    constant = bool((np.ptp(values, axis=0) == 0).all())
    if umap and latent.shape[1] > 2 and not constant:
        shown = np.column_stack([shown, umap_axes(np.where(there[:, None], latent[rows], np.nan), result.label)])
        names += ["UMAP 1", "UMAP 2"]
    return {
        "label": result.label,
        "colour": result.colour,
        "d": latent.shape[1],
        "axes": [_axis(name, column) for name, column in zip(names, shown.T, strict=True)],
        "constant": constant,
    }


def _axis(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Quantise the coordinates of the particles along an axis; NaN marks those that have none."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [0.2, 99.8]) if finite.size else (0.0, 1.0)
    span = float(high - low)
    quantised = np.full(len(values), _MISSING, np.int16)
    good = np.isfinite(values)
    # ±20,000 is the 99.6 % range; the few points beyond it have room up to 1.6 times as far, then stop.
    if span > 0:
        scaled = (values[good] - (low + high) / 2) * (40_000 / span)
        quantised[good] = np.clip(np.rint(scaled), -32_000, 32_000).astype(np.int16)
    else:
        quantised[good] = 0
    return {"name": name, "low": float(low), "high": float(high), "values": pack(quantised)}


def principal_axes(latent: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Return the latent itself for d ≤ 2, else its leading principal components; with axis names."""
    d = latent.shape[1]
    if d <= 2:
        return latent, [f"latent {column + 1}" for column in range(d)]
    good = np.isfinite(latent).all(axis=1)
    if good.sum() < 2:
        return latent[:, :_MAX_AXES], [f"latent {column + 1}" for column in range(min(d, _MAX_AXES))]
    centred = latent - latent[good].mean(axis=0)
    variance, directions = np.linalg.eigh(np.cov(centred[good].T))
    variance, directions = variance[::-1], directions[:, ::-1]
    total = variance.sum() or 1.0
    kept = min(d, _MAX_AXES)
    names = [f"PC {i + 1} ({100 * variance[i] / total:.0f} %)" for i in range(kept)]
    return centred @ directions[:, :kept], names
