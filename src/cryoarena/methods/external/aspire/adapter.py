"""ASPIRE's covariance estimation as a method."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.methods.base import MethodCard, Resources, Run, method
from cryoarena.methods.external.external_method import Done, ExternalMethod, wrong_ctf
from cryoarena.methods.external.linear_maps import LinearMaps, load_linear_maps
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.match_rows import match_star
from cryoarena.methods.external.run_program import Command
from cryoarena.methods.external.tool import Tool, python_version_command
from cryoarena.methods.read_array import read_array
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star

_SCRIPT = Path(__file__).with_name("estimate_covariance.py")
_STEP = re.compile(r"STEP (\d)/(\d) (\w+)")
# The kernel has (2 L)^6 elements: 4 GB at 16 in single precision, besides its transforms.
_LARGEST_BOX_PX = 16

ASPIRE = Tool(
    name="aspire",
    title="ASPIRE",
    version="0.14.3",
    program="aspire",
    version_command=python_version_command("aspire"),
    self_test=("python", "-c", "from aspire.covariance import CovarianceEstimator"),
    requirements=Path(__file__).with_name("requirements.txt"),
)


@dataclass(frozen=True)
class AspireOptions:
    """Options of `aspire`.

    Attributes:
        box_px: to which images are downsampled, at most 16; memory grows with its sixth power.
        components: principal maps.
        tolerance: of the conjugate gradients.
        threads: of one process.
    """

    box_px: int = 10
    components: int = 4
    tolerance: float = 1e-2
    threads: int = 1


@dataclass(frozen=True)
class ImportOptions:
    """What a user may have to tell about an output folder.

    Attributes:
        particles: the .star that ASPIRE was given, if it is no longer where settings.json says.
    """

    particles: Path | None = None


@method
class Aspire(ExternalMethod[AspireOptions]):
    """Least squares for the covariance of the structure in a basis of low resolution."""

    card = MethodCard(
        name="aspire",
        title="ASPIRE covariance",
        family="linear subspace, covariance",
        summary="ASPIRE-Python 0.14: covariance by least squares at low resolution, Wiener coordinates; given poses.",
        citation="Andén and Singer 2018, doi:10.1137/17M1153509",
        heterogeneity="continuous",
        resources=Resources(memory_GB=8.0, minutes=120.0),
    )
    options = AspireOptions
    import_options = ImportOptions
    tool = ASPIRE

    def commands(self, particles: ParticleSet, options: AspireOptions, run: Run, work: Path) -> Iterator[Command]:
        """Run the script, which has no stages to go on from."""
        if options.box_px % 2 or not 4 <= options.box_px <= min(particles.box_px, _LARGEST_BOX_PX):
            raise UserError(f"option box_px must be even, from 4 to {_LARGEST_BOX_PX}, not {options.box_px}")
        if (work / self.output / "settings.json").is_file():
            return
        write_star(work / "particles.star", link_stacks(particles, work))
        shutil.copyfile(_SCRIPT, work / _SCRIPT.name)
        words = ["python", _SCRIPT.name, "particles.star", "--pixel-size", f"{particles.pixel_size_A:.9g}"]
        words += ["--box", str(options.box_px), "--components", str(options.components)]
        words += ["--tolerance", str(options.tolerance), "--out", self.output]
        yield Command(words, options.threads)

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why it cannot run on these particles, or here."""
        return super().not_applicable(particles) or wrong_ctf("ASPIRE", particles)

    def progress(self, line: str) -> Done | None:
        """Return which step has begun."""
        if (found := _STEP.match(line)) is None:
            return None
        return Done(int(found[1]) - 1, int(found[2]), found[3])

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> LinearMaps:
        """Read what the script wrote."""
        if not (folder / "settings.json").is_file():
            raise UserError(
                f"{folder} has no settings.json; give the output of {_SCRIPT.name}, which cryoarena runs with ASPIRE"
            )
        settings = read_json(folder / "settings.json")
        star = options.particles or Path(settings["star"])
        if not star.is_file():
            raise UserError(f"{folder / 'settings.json'} names {star}, which does not exist; give it by particles=FILE")
        rows = match_star(star, particles)
        coordinates = read_array(folder / "coordinates.npy", 2, "f", "(N, d) coordinates")
        if len(coordinates) != len(rows):
            raise UserError(f"{folder / 'coordinates.npy'} has {len(coordinates)} rows but {star} {len(rows)}")
        paths = [folder / "mean.mrc", *(folder / f"component_{k}.mrc" for k in range(coordinates.shape[1]))]
        box_px = require_field(tuple(paths), particles)
        dropped = len(particles) - len(rows)
        notes = [f"{dropped} of {len(particles)} particles are not in the table"] if dropped else []
        notes.append(f"the program works on images of {box_px} px; its maps are brought to {particles.box_px} px")
        order = np.argsort(rows)
        # It takes images to be dark.
        opposite = particles.contrast_sign > 0
        return LinearMaps(
            coordinates[order].astype(np.float32),
            MapFiles(tuple(paths), particles.box_px, particles.pixel_size_A, opposite),
            rows[order] if dropped else None,
            tuple(notes),
            {"program": f"ASPIRE {settings['version']}", "settings": settings},
        )

    def load(self, folder: Path, particles: ParticleSet) -> LinearMaps:
        """Read back the mean and the components."""
        return load_linear_maps(folder, particles)
