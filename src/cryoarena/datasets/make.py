"""Make a dataset folder: resumable after a kill, the same bytes for the same seed whatever the number of processes."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena import __version__
from cryoarena.datasets.alter_ensemble import altered
from cryoarena.datasets.base import Dataset, Settings, Sources
from cryoarena.datasets.draw import Drawn, draw_particles
from cryoarena.datasets.making import MAKING, is_begun
from cryoarena.datasets.noise_spectrum import noise_spectrum, write_noise_spectrum
from cryoarena.datasets.parallel import in_parallel
from cryoarena.datasets.random_streams import RandomStreams
from cryoarena.datasets.realism import Realism
from cryoarena.datasets.write_card import write_card
from cryoarena.datasets.write_truth import write_truth
from cryoarena.errors import UserError
from cryoarena.files import (
    remove_temporary_files,
    require_empty_output,
    require_free_space,
    sha256_of,
    write_json,
)
from cryoarena.imaging.defocus import DefocusTable
from cryoarena.imaging.images import simulate_images
from cryoarena.imaging.layer import Layer
from cryoarena.imaging.noise import ColouredNoise, Noise, ShotNoise, WhiteNoise
from cryoarena.imaging.simulate import Particles, signal_sums
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
    if processes < 1:
        raise UserError(f"--processes must be at least 1, not {processes}")
    # Processes of an earlier call, which are kept, may work in another folder.
    out, sources = out.absolute(), sources.absolute()
    options = parse_options(dataset.options, given_options or {})
    recipe = _recipe(dataset, settings, sources, options, defocus_table)
    dataset_id = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    begun = is_begun(out, dataset_id, overwrite)
    given = [getattr(options, item.name) for item in fields(options)]
    inputs = [*sources.all_files().values(), *(value for value in given if isinstance(value, Path))]
    if Path(settings.realism.noise).is_file():
        inputs.append(Path(settings.realism.noise))
    if not begun and not overwrite:
        require_empty_output(out, False, inputs)
    require_free_space(out, 4 * settings.images * settings.box_px**2)

    ensemble = altered(dataset.build(settings, sources, options), dataset.card, settings)
    _require_fit(ensemble.specimen, settings)
    maps = len(ensemble.population) if ensemble.mapped is None else len(ensemble.mapped)
    if maps < 2:
        raise UserError(f"{dataset.card.name} would have one conformation; give --conformations 2 or more")
    require_free_space(out, 4 * settings.images * settings.box_px**2 + 4 * maps * settings.box_px**3)
    drawn = draw_particles(ensemble, settings, defocus_table)
    # Only now, when nothing can be wrong with the input any more, may an old folder go.
    if begun:
        remove_temporary_files(out)
    else:
        require_empty_output(out, overwrite, inputs)
    write_json(out / MAKING, {"id": dataset_id})
    # The SNR is that of the molecules that the dataset is about.
    ordinary = np.flatnonzero(drawn.shows_molecule())
    measured = drawn.particles[ordinary[:: -(-len(ordinary) // _MEASURED_IMAGES)]]
    variance = _signal_variance(ensemble.specimen, measured, settings, processes)
    amplitude = float(1 / np.sqrt(_noise_variance(variance, settings)))

    particle_id = np.arange(1, settings.images + 1)
    stacks = _write_stacks(ensemble.specimen, drawn, settings, amplitude, out, processes)
    write_truth(ensemble, drawn, particle_id, settings, amplitude, dataset.card.is_continuous, out, processes)
    if (spectrum := noise_spectrum(settings.realism.noise)) is not None:
        write_noise_spectrum(out / "truth" / "noise_spectrum.csv", spectrum)
    tables = write_tables(out, _particle_set(drawn, particle_id, settings, stacks))
    write_card(dataset, ensemble, sources, recipe, dataset_id, variance, amplitude, tables, out, processes)
    (out / MAKING).unlink()


def _recipe(
    dataset: Dataset[Any], settings: Settings, sources: Sources, options: Any, defocus_table: DefocusTable | None
) -> dict[str, Any]:
    table_hash = None
    if defocus_table is not None:
        values = np.stack([defocus_table.defocus_u_A, defocus_table.defocus_v_A, defocus_table.azimuth_deg])
        table_hash = hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest()
    numbers = asdict(settings)
    del numbers["realism"]
    return {
        "dataset": dataset.card.name,
        **numbers,
        **_dials(settings.realism),
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


def _dials(realism: Realism) -> dict[str, Any]:
    """Return the dials that are on, and the content of a noise spectrum in place of its path."""
    dials = realism.changed()
    if "noise" in dials and (path := Path(realism.noise)).is_file():
        dials["noise"] = {"file": path.name, "sha256": sha256_of(path)}
    return {"realism": dials} if dials else {}


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


def _noise_variance(signal_variance: float, settings: Settings) -> float:
    """Return the variance of the noise at D, in units of the projected density.

    Cropping from D0 keeps values and only the noise of the kept band; of white noise that is (D/D0)² of its variance.
    """
    variance = signal_variance / settings.snr * (settings.box_px / settings.source_box_px) ** 2
    spectrum = noise_spectrum(settings.realism.noise)
    if spectrum is not None:
        in_band = spectrum.mean(settings.box_px, settings.pixel_size_A)
        variance *= in_band / spectrum.mean(settings.source_box_px, settings.source_pixel_size_A)
    return variance


def _noise(settings: Settings) -> Noise:
    realism = settings.realism
    if realism.dose_e_per_A2 > 0:
        return ShotNoise(realism.dose_e_per_A2 * settings.pixel_size_A**2)
    spectrum = noise_spectrum(realism.noise)
    return WhiteNoise() if spectrum is None else ColouredNoise(spectrum, settings.pixel_size_A)


def _write_stacks(
    specimen: Specimen, drawn: Drawn, settings: Settings, amplitude: float, out: Path, processes: int
) -> list[Path]:
    shards = _shards(len(drawn.particles))
    paths = [out / "particles" / f"{number:04d}.mrcs" for number in range(len(shards))]
    noise = _noise(settings)
    jobs = [
        (
            specimen,
            drawn.particles[shard],
            [x.within(shard) for x in drawn.layers],
            settings,
            amplitude,
            noise,
            number,
            path,
        )
        for number, (shard, path) in enumerate(zip(shards, paths, strict=True))
        if not path.exists()
    ]
    in_parallel("Writing images", processes, _write_stack, jobs)
    return paths


def _write_stack(
    specimen: Specimen,
    particles: Particles,
    layers: list[Layer],
    settings: Settings,
    amplitude: float,
    noise: Noise,
    number: int,
    path: Path,
) -> None:
    rng = RandomStreams(settings.seed).generator("noise", number)
    with StackWriter(path, len(particles), settings.box_px, settings.pixel_size_A) as stack:
        for start in range(0, len(particles), _BATCH):
            batch = slice(start, start + _BATCH)
            stack.append(
                simulate_images(
                    specimen,
                    particles[batch],
                    settings.box_px,
                    settings.pixel_size_A,
                    amplitude,
                    settings.contrast_sign,
                    rng,
                    noise,
                    [layer.within(batch) for layer in layers],
                )
            )


def _particle_set(drawn: Drawn, particle_id: NDArray[np.int64], settings: Settings, stacks: list[Path]) -> ParticleSet:
    n = len(particle_id)
    return ParticleSet(
        particle_id=particle_id,
        box_px=settings.box_px,
        pixel_size_A=settings.pixel_size_A,
        contrast_sign=settings.contrast_sign,
        stack_files=tuple(stacks),
        stack_index=np.arange(n) // SHARD_IMAGES,
        slice_index=np.arange(n) % SHARD_IMAGES,
        poses=drawn.given_poses,
        ctf=drawn.given_ctf,
        half_set=RandomStreams(settings.seed).generator("half-set").permutation(np.arange(n) % 2),
        beam_tilt_mrad=drawn.given_beam_tilt_mrad,
    )
