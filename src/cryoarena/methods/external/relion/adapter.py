"""RELION as methods: 3-D classification, ab initio maps and poses, and multi-body refinement."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryoarena.methods.base import MethodCard, Resources, Run, method
from cryoarena.methods.external.external_method import Done, ExternalMethod
from cryoarena.methods.external.given_maps import GivenMaps, load_given_maps
from cryoarena.methods.external.relion.job_folder import require_job_of
from cryoarena.methods.external.relion.multibody import RelionMultibody
from cryoarena.methods.external.relion.program import RELION, major_version
from cryoarena.methods.external.relion.read_classes import ImportOptions, check_maps_option, read_job
from cryoarena.methods.external.relion.refine import (
    REFERENCE,
    RefineOptions,
    check_classes,
    finished,
    make_reference,
    progress_of,
    refine,
    write_input,
)
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet

__all__ = ["RelionClass3d", "RelionInitialModel", "RelionMultibody"]


@dataclass(frozen=True)
class Class3dOptions(RefineOptions):
    """Options of `relion-class3d`.

    Attributes:
        classes: number of classes K.
        iterations: of expectation maximisation.
        tau2_fudge: weight of the images against the prior.
        ini_high_A: resolution of the first iteration. With given poses a fine start, as with `--ini_high 20
            --firstiter_cc`, leaves images in the random class that they were drawn into.
        maps: "class" for RELION's own, or "reconstructed" for those that relion_reconstruct makes of each class.
    """

    classes: int = 10
    iterations: int = 25
    tau2_fudge: float = 4.0
    ini_high_A: float = 60.0
    maps: str = "class"


@method
class RelionClass3d(ExternalMethod[Class3dOptions]):
    """Class3D without alignment, from a map of all images."""

    card = MethodCard(
        name="relion-class3d",
        title="RELION Class3D",
        family="3-D classification",
        summary="RELION 3-D classification of images whose poses are given, from a map of all of them.",
        citation="Scheres 2012, doi:10.1016/j.jsb.2012.09.006",
        heterogeneity="discrete",
        resources=Resources(minutes=60.0, minutes_per_gigapixel=1500.0),
    )
    options = Class3dOptions
    import_options = ImportOptions
    tool = RELION

    def commands(self, particles: ParticleSet, options: Class3dOptions, run: Run, work: Path) -> Iterator[Command]:
        """Reconstruct all images, and classify from that."""
        check_classes(options.classes, particles)
        check_maps_option(options.maps)
        write_input(particles, work)
        yield from make_reference(work)
        words = ["--ref", REFERENCE, "--ini_high", f"{options.ini_high_A:g}", "--K", str(options.classes)]
        words += ["--iter", str(options.iterations), "--tau2_fudge", f"{options.tau2_fudge:g}", "--pad", "2"]
        words += ["--norm", "--scale"]
        if not finished(work, options.iterations):
            # RELION has no code for GPUs that only classifies.
            yield refine(words, ["--skip_align"], particles, options, run, work)

    def progress(self, line: str) -> Done | None:
        """Return which iteration is running."""
        return progress_of(line, 0)

    def reading(self, options: Class3dOptions) -> ImportOptions:
        """Return which maps are wanted."""
        return ImportOptions(maps=options.maps)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
        """Read a job folder."""
        require_job_of(self.card.name, folder)
        return read_job(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> GivenMaps:
        """Read saved classes."""
        return load_given_maps(folder, particles)


@dataclass(frozen=True)
class InitialModelOptions(RefineOptions):
    """Options of `relion-initialmodel`; the defaults are those of RELION 3.1.

    Attributes:
        classes: number of classes K.
        iterations: in all; the first and the last sixth keep to the first and the last of the settings below.
        first_images, last_images: in an iteration.
        first_resolution_A, last_resolution_A: that is looked at.
        healpix_order: of the grid of orientations, which is refined once: 1 for 15°, 2 for 7.5°.
        offset_range_px, offset_step_px: of the search for shifts.
    """

    classes: int = 1
    iterations: int = 300
    first_images: int = 100
    last_images: int = 500
    first_resolution_A: float = 35.0
    last_resolution_A: float = 15.0
    healpix_order: int = 1
    offset_range_px: float = 6.0
    offset_step_px: float = 2.0


@method
class RelionInitialModel(ExternalMethod[InitialModelOptions]):
    """InitialModel: maps, classes and poses from images alone, by stochastic gradient descent."""

    card = MethodCard(
        name="relion-initialmodel",
        title="RELION InitialModel",
        family="3-D classification",
        summary="RELION ab initio reconstruction of classes by stochastic gradient descent; poses are estimated.",
        citation="Zivanov et al. 2018, doi:10.7554/eLife.42166",
        heterogeneity="discrete",
        needs_poses=False,
        resources=Resources(minutes=60.0, minutes_per_gigapixel=6000.0),
    )
    options = InitialModelOptions
    import_options = ImportOptions
    tool = RELION

    def commands(self, particles: ParticleSet, options: InitialModelOptions, run: Run, work: Path) -> Iterator[Command]:
        """Descend from a map of random poses."""
        check_classes(options.classes, particles)
        # What the images are known to show is not for an ab initio method to see.
        write_input(replace(particles, poses=None), work)
        words = ["--denovo_3dref", "--K", str(options.classes), "--sym", "C1", "--pad", "1"]
        words += ["--oversampling", "1", "--healpix_order", str(options.healpix_order)]
        words += ["--offset_range", f"{options.offset_range_px:g}", "--offset_step", f"{options.offset_step_px:g}"]
        words += _descent_of_3(options) if major_version() < 4 else _descent_of_4(options)
        if not finished(work, options.iterations):
            gpu = ["--gpu"] if run.device.startswith("cuda") else []
            yield refine(words, gpu, particles, options, run, work)

    def progress(self, line: str) -> Done | None:
        """Return which iteration is running."""
        return progress_of(line, 0)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
        """Read a job folder."""
        require_job_of(self.card.name, folder)
        return read_job(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> GivenMaps:
        """Read saved classes."""
        return load_given_maps(folder, particles)


def _descent_of_3(options: InitialModelOptions) -> list[str]:
    """Return the arguments of stochastic gradient descent of RELION 3.1."""
    sixth = options.iterations // 6
    values = {
        "ini_iter": sixth,
        "inbetween_iter": options.iterations - 2 * sixth,
        "fin_iter": sixth,
        "ini_subset": options.first_images,
        "fin_subset": options.last_images,
        "ini_resol": options.first_resolution_A,
        "fin_resol": options.last_resolution_A,
        "write_iter": max(1, options.iterations // 10),
    }
    return ["--sgd", *(word for name, value in values.items() for word in (f"--sgd_{name}", f"{value:g}"))]


def _descent_of_4(options: InitialModelOptions) -> list[str]:
    """Return the arguments of gradient descent of RELION 4 and 5, whose names have changed."""
    values = {
        "ini_subset": options.first_images,
        "fin_subset": options.last_images,
        "ini_resol": options.first_resolution_A,
        "fin_resol": options.last_resolution_A,
        "write_iter": max(1, options.iterations // 10),
    }
    words = [word for name, value in values.items() for word in (f"--grad_{name}", f"{value:g}")]
    return ["--grad", "--iter", str(options.iterations), "--auto_sampling", "--tau2_fudge", "4", *words]
