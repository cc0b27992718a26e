"""What relion_flex_analyse needs to know of bodies, in a folder of its own, and what it makes of it."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.relion.body_motion import Residuals
from cryoarena.methods.external.relion.program import RELION
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.particles.relion_columns import ANGLES, IMAGE_NAME, OPTICS_GROUP, OPTICS_NAME
from cryoarena.particles.star_table import Column, read_tables, write_table
from cryoarena.volumes.mrc import read_grid

MODEL, BODIES = "model.star", "bodies.star"
_AXIS = tuple(f"rlnBodyRotateDirection{axis}" for axis in "XYZ")
_DIMENSION = re.compile(r"^(_rlnDataDimensionality +)2\b", re.MULTILINE)


@dataclass(frozen=True)
class FlexFolder:
    """A folder with model.star, bodies.star, and maps and masks of B bodies.

    Attributes:
        folder: of the files.
        axis: (B, 3) unit vectors to the body that each turns relative to.
        box_px, pixel_size_A: of the maps.
    """

    folder: Path
    axis: NDArray[np.float64]
    box_px: int
    pixel_size_A: float

    def copy_to(self, folder: Path) -> None:
        """Copy the files into a new folder."""
        folder.mkdir()
        for path in (self.folder / MODEL, self.folder / BODIES, *map_paths(self.folder, len(self.axis))):
            shutil.copyfile(path, folder / path.name)
            if path.suffix == ".mrc":
                shutil.copyfile(mask_path(path), folder / mask_path(path).name)

    def analyse(self, data: Path, work: Path) -> Path:
        """Find the principal components of a particle table; return what the names of all output begin with.

        Raises:
            UserError: when RELION is not installed.
            ProgramFailed: when it fails.
        """
        words = ["relion_flex_analyse", "--PCA_orient", "--write_pca_projections"]
        words += ["--data", str(data.absolute()), "--model", MODEL, "--bodies", BODIES, "--o", str(work / "analyse")]
        run_program(Command(words), RELION.require(), self.folder, work / "log.txt")
        return work / "analyse"

    def maps_of(self, residuals: Residuals, box_px: int, pixel_size_A: float, opposite: bool) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) of bodies placed by `residuals` of k particles of orientation identity.

        Args:
            residuals: of k particles.
            box_px, pixel_size_A: of the maps that are wanted, which show the same field.
            opposite: whether protein is negative in RELION's maps.

        Raises:
            UserError: when RELION is not installed.
            ProgramFailed: when it fails.
        """
        executables = RELION.require()
        with tempfile.TemporaryDirectory(prefix="cryoarena-relion-") as name:
            work = Path(name)
            self.copy_to(work / "bodies")
            model = work / "bodies" / MODEL
            # Particles of three dimensions have shifts of three.
            model.write_text(_DIMENSION.sub(r"\g<1>3", model.read_text(encoding="utf-8")), encoding="utf-8")
            _write_particles(work / "bodies" / "particles.star", residuals, self.box_px, self.pixel_size_A)
            words = ["relion_flex_analyse", "--3dmodels", "--size_3dmodels", str(self.box_px), "--o", "map"]
            words += ["--data", "particles.star", "--model", MODEL, "--bodies", BODIES]
            run_program(Command(words), executables, work / "bodies", work / "log.txt")
            count = len(residuals.angle_deg)
            paths = tuple(work / "bodies" / f"map_part{number:06d}.mrc" for number in range(1, count + 1))
            return MapFiles(paths, box_px, pixel_size_A, opposite).read(np.arange(count))


def map_paths(folder: Path, bodies: int) -> tuple[Path, ...]:
    """Return the maps of the bodies in a folder."""
    return tuple(folder / f"body{number:03d}.mrc" for number in range(1, bodies + 1))


def open_flex_folder(folder: Path) -> FlexFolder:
    """Read a folder that `copy_to` wrote.

    Raises:
        UserError: when it is not complete.
    """
    axis = read_axes(folder / MODEL)
    box_px, pixel_size_A = read_grid(map_paths(folder, len(axis))[0])
    return FlexFolder(folder, axis, box_px, pixel_size_A)


def mask_path(body: Path) -> Path:
    """Return the mask that belongs to the map of a body."""
    return body.with_name(body.name.replace("body", "mask"))


def read_axes(model: Path) -> NDArray[np.float64]:
    """Return the unit vectors (B, 3) from each body to that which it turns relative to."""
    tables = read_tables(model, set(_AXIS), set())
    table = tables.get("model_bodies")
    if table is None or not all(name in table for name in _AXIS):
        raise UserError(f"{model} has no bodies; give the folder of a MultiBody job")
    return np.stack([table.numbers[name] for name in _AXIS], axis=1)


def _write_particles(path: Path, residuals: Residuals, box_px: int, pixel_size_A: float) -> None:
    """Write a table of particles that exist for their bodies alone."""
    count, bodies = residuals.angle_deg.shape[:2]
    one = np.array([1])
    optics = [
        *(Column(OPTICS_GROUP, one), Column(OPTICS_NAME, ["opticsGroup1"])),
        *(Column("rlnVoltage", 300.0 * one), Column("rlnSphericalAberration", 2.7 * one)),
        *(Column("rlnAmplitudeContrast", 0.1 * one), Column("rlnImagePixelSize", pixel_size_A * one)),
        *(Column("rlnImageSize", box_px * one), Column("rlnImageDimensionality", 2 * one)),
    ]
    zero = np.zeros(count)
    particles = [
        Column(IMAGE_NAME, [f"{number:06d}@none.mrcs" for number in range(1, count + 1)]),
        Column(OPTICS_GROUP, np.ones(count, np.int64)),
        *(Column(name, zero) for name in (*ANGLES, "rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")),
    ]
    with path.open("w", encoding="utf-8") as stream:
        write_table(stream, "optics", optics)
        write_table(stream, "particles", particles)
        for body in range(bodies):
            origin_A = residuals.origin_px[:, body] * pixel_size_A
            columns = [Column(name, residuals.angle_deg[:, body, i]) for i, name in enumerate(ANGLES)]
            columns += [Column(f"rlnOrigin{axis}Angst", origin_A[:, i]) for i, axis in enumerate("XYZ")]
            write_table(stream, f"images_body_{body + 1}", columns)
