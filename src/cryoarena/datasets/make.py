"""Make a dataset folder: resumable after a kill, the same bytes for the same seed whatever the number of processes."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena import __version__
from cryoarena.datasets.base import Dataset, Ensemble, Settings, Sources
from cryoarena.datasets.draw import RandomStreams, draw_particles
from cryoarena.datasets.making import MAKING, is_begun
from cryoarena.datasets.parallel import in_parallel
from cryoarena.datasets.write_truth import write_truth
from cryoarena.files import (
    remove_temporary_files,
    require_empty_output,
    require_free_space,
    sha256_of,
    write_json,
)
from cryoarena.imaging.defocus import DefocusTable
from cryoarena.imaging.simulate import Particles, signal_sums, simulate_images
from cryoarena.imaging.specimen import Specimen
from cryoarena.options import parse_options
from cryoarena.particles.dataset_folder import write_tables
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.stack import StackWriter
from cryoarena.structures.render import check_fits

SHARD_IMAGES = 1000
# The variance of the signal is that of all images up to this number, else of so many spread over them: 0.5 % at worst.
_MEASURED_IMAGES = 20_000
_BATCH = 100


def make_dataset(
    dataset: Dataset[Any],
    settings: Settings,
    sources: Sources,
    out: Path,
    defocus_table: DefocusTable | None = None,
    overwrite: bool = False,
    processes: int = 1,
    given_options: dict[str, str] | None = None,
) -> None:
    """Write a whole dataset folder (docs/formats.md); run again after an interruption, it goes on.

    Args:
        dataset: the recipe.
        settings: resolved numbers.
        sources: where its files are.
        out: new folder, or one that an interrupted run with the same settings left.
        defocus_table: real values to draw from; parametric when None.
        overwrite: replace whatever `out` holds.
        processes: how many work at once; does not change a byte.
        given_options: of the recipe, as key=value.

    Raises:
        UserError: when the folder is in use, the disk is too small or the object does not fit its box.
    """
    options = parse_options(dataset.options, given_options or {})
    recipe = _recipe(dataset, settings, sources, options, defocus_table)
    dataset_id = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    begun = is_begun(out, dataset_id, overwrite)
    if not begun and not overwrite:
        require_empty_output(out, overwrite=False)
    require_free_space(out, 4 * settings.images * settings.box_px**2)

    ensemble = dataset.build(settings, sources, options)
    _require_fit(ensemble.specimen, settings)
    maps = len(ensemble.population) if ensemble.mapped is None else len(ensemble.mapped)
    require_free_space(out, 4 * settings.images * settings.box_px**2 + 4 * maps * settings.box_px**3)
    # Only now, when nothing can be wrong with the input any more, may an old folder go.
    if begun:
        remove_temporary_files(out)
    else:
        require_empty_output(out, overwrite)
    write_json(out / MAKING, {"id": dataset_id})
    particles = draw_particles(ensemble, settings, defocus_table)
    measured = particles[:: -(-len(particles) // _MEASURED_IMAGES)]
    variance = _signal_variance(ensemble.specimen, measured, settings, processes)
    # Noise of unit variance at D; cropping from D0 keeps values, so it divides the noise variance by (D0/D)².
    noise_variance = variance / settings.snr * (settings.box_px / settings.source_box_px) ** 2
    amplitude = float(1 / np.sqrt(noise_variance))

    particle_id = np.arange(1, settings.images + 1)
    stacks = _write_stacks(ensemble.specimen, particles, settings, amplitude, out, processes)
    write_truth(ensemble, particles, particle_id, settings, amplitude, dataset.card.is_continuous, out, processes)
    tables = write_tables(out, _particle_set(particles, particle_id, settings, stacks))
    _write_card(dataset, settings, ensemble, sources, recipe, dataset_id, variance, amplitude, tables, out, processes)
    (out / MAKING).unlink()


def _recipe(
    dataset: Dataset[Any], settings: Settings, sources: Sources, options: Any, defocus_table: DefocusTable | None
) -> dict[str, Any]:
    table_hash = None
    if defocus_table is not None:
        values = np.stack([defocus_table.defocus_u_A, defocus_table.defocus_v_A, defocus_table.azimuth_deg])
        table_hash = hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest()
    return {
        "dataset": dataset.card.name,
        **asdict(settings),
        "options": {name: _recorded(value) for name, value in asdict(options).items()},
        "pixel_size_A": settings.pixel_size_A,
        "snr_box_px": settings.source_box_px,
        "sources": {
            name: {"file": path.name, "sha256": sha256_of(path)} for name, path in sorted(sources.all_files().items())
        },
        "particles_of_models": list(sources.counts),
        "defocus": "parametric" if table_hash is None else "table",
        "defocus_table_sha256": table_hash,
        "generator": __version__,
    }


def _recorded(option: Any) -> Any:
    """Return an option as it is recorded: a file by its content, since another file may bear its name."""
    return {"file": option.name, "sha256": sha256_of(option)} if isinstance(option, Path) else option


def _require_fit(specimen: Specimen, settings: Settings) -> None:
    max_shift_A = float(np.sqrt(2) * settings.max_shift_px * settings.source_pixel_size_A)
    check_fits(specimen.reach_A(), settings.source_box_px, settings.source_pixel_size_A, max_shift_A)


def _shards(n: int) -> list[slice]:
    return [slice(start, min(start + SHARD_IMAGES, n)) for start in range(0, n, SHARD_IMAGES)]


def _signal_variance(specimen: Specimen, particles: Particles, settings: Settings, processes: int) -> float:
    """Return the variance of CTF-applied, noise-free images over the whole source box."""
    box_px, pixel_size_A = settings.source_box_px, settings.source_pixel_size_A
    jobs = [(specimen, particles[shard], box_px, pixel_size_A) for shard in _shards(len(particles))]
    sums = np.array(in_parallel("Measuring the signal", processes, signal_sums, jobs)).sum(axis=0)
    mean, mean_square = sums / (len(particles) * box_px**2)
    return float(mean_square - mean**2)


def _write_stacks(
    specimen: Specimen, particles: Particles, settings: Settings, amplitude: float, out: Path, processes: int
) -> list[Path]:
    shards = _shards(len(particles))
    paths = [out / "particles" / f"{number:04d}.mrcs" for number in range(len(shards))]
    jobs = [
        (specimen, particles[shard], settings, amplitude, number, path)
        for number, (shard, path) in enumerate(zip(shards, paths, strict=True))
        if not path.exists()
    ]
    in_parallel("Writing images", processes, _write_stack, jobs)
    return paths


def _write_stack(
    specimen: Specimen, particles: Particles, settings: Settings, amplitude: float, number: int, path: Path
) -> None:
    rng = RandomStreams(settings.seed).generator("noise", number)
    with StackWriter(path, len(particles), settings.box_px, settings.pixel_size_A) as stack:
        for start in range(0, len(particles), _BATCH):
            stack.append(
                simulate_images(
                    specimen,
                    particles[start : start + _BATCH],
                    settings.box_px,
                    settings.pixel_size_A,
                    amplitude,
                    settings.contrast_sign,
                    rng,
                )
            )


def _particle_set(
    particles: Particles, particle_id: NDArray[np.int64], settings: Settings, stacks: list[Path]
) -> ParticleSet:
    n = len(particles)
    return ParticleSet(
        particle_id=particle_id,
        box_px=settings.box_px,
        pixel_size_A=settings.pixel_size_A,
        contrast_sign=settings.contrast_sign,
        stack_files=tuple(stacks),
        stack_index=np.arange(n) // SHARD_IMAGES,
        slice_index=np.arange(n) % SHARD_IMAGES,
        poses=particles.poses,
        ctf=particles.ctf,
        half_set=RandomStreams(settings.seed).generator("half-set").permutation(np.arange(n) % 2),
    )


def _write_card(
    dataset: Dataset[Any],
    settings: Settings,
    ensemble: Ensemble,
    sources: Sources,
    recipe: dict[str, Any],
    dataset_id: str,
    variance: float,
    amplitude: float,
    tables: list[Path],
    out: Path,
    processes: int,
) -> None:
    """Write dataset.json, the last file: a folder that has it is whole."""
    files = sorted(
        {
            *tables,
            *(out / "particles").glob("*.mrcs"),
            *(p for p in (out / "truth").rglob("*") if p.is_file()),
        }
    )
    hashes = in_parallel("Checksums", processes, sha256_of, [(path,) for path in files])
    card = asdict(dataset.card)
    cvs = card.pop("cvs") if ensemble.variables is None else [asdict(variable) for variable in ensemble.variables]
    write_json(
        out / "dataset.json",
        {
            "format": 1,
            "id": dataset_id,
            "name": dataset.card.name,
            "card": card,
            "cvs": cvs,
            "recipe": {
                **recipe,
                "noise_sigma": 1.0,
                "signal_variance_at_source_box": variance,
                "image_units_per_projected_density": amplitude,
            },
            "generator": {"cryoarena": __version__},
            "notes": [*dataset.card.notes, *_stand_in_notes(dataset, sources), *ensemble.notes],
            "files": {path.relative_to(out).as_posix(): digest for path, digest in zip(files, hashes, strict=True)},
        },
    )


def _stand_in_notes(dataset: Dataset[Any], sources: Sources) -> list[str]:
    if not sources.are_stand_ins:
        return []
    names = ", ".join(dict.fromkeys(source.description for source in dataset.card.stand_ins))
    return [f"Made from stand-ins, because not all of the published models are on this machine: {names}."]
