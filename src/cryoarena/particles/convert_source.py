"""Read particles from whatever tells them: RELION, cryoSPARC, cryoDRGN or a dataset folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import MICROSCOPE
from cryoarena.particles.cs import read_cs
from cryoarena.particles.dataset_folder import check_stacks, open_particles
from cryoarena.particles.given import FLAGS, Given
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_cryodrgn import read_cryodrgn
from cryoarena.particles.read_star import read_star

Kind = Literal["star", "cs", "pkl", "folder"]
_SUFFIXES: dict[str, Kind] = {".star": "star", ".cs": "cs", ".pkl": "pkl"}


@dataclass(frozen=True)
class Source:
    """Where particles are told.

    Attributes:
        path: .star, .cs, poses.pkl (or ctf.pkl) or dataset folder.
        passthrough: of a .cs file.
        ctf: ctf.pkl that goes with poses.pkl.
        stack: of pickles.
        given: what the files may lack.
    """

    path: Path
    passthrough: tuple[Path, ...] = ()
    ctf: Path | None = None
    stack: Path | None = None
    given: Given = field(default_factory=Given)

    @property
    def kind(self) -> Kind:
        """Tell the form of the source."""
        return kind_of(self.path)

    @property
    def tables(self) -> tuple[Path, ...]:
        """Return the files that are read."""
        table = self.path / "particles.star" if self.kind == "folder" else self.path
        return (table, *self.passthrough, *(path for path in (self.ctf, self.stack) if path is not None))


def kind_of(path: Path) -> Kind:
    """Tell by its name, or by its being a folder, in what form a table is or will be.

    Raises:
        UserError: when it cannot be told.
    """
    if path.suffix in _SUFFIXES and not path.is_dir():
        return _SUFFIXES[path.suffix]
    if path.is_dir() or not path.suffix:
        return "folder"
    raise UserError(f"{path} is no particle table; name a .star, .cs or .pkl file, or a dataset folder without suffix")


def read_source(source: Source) -> ParticleSet:
    """Read particles and check them against their stacks.

    Raises:
        UserError: when something is missing, damaged or contradictory, or an option does not go with the source.
    """
    path, kind, given = source.path, source.kind, source.given
    _require_fitting_options(source)
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if kind == "pkl":
        particles = read_cryodrgn(path, source.ctf, source.stack, given)
    elif kind == "cs":
        particles = read_cs(path, source.passthrough, given)
    elif kind == "star":
        particles = read_star(path, given)
    else:
        return open_particles(path)
    if particles.ctf is None:
        for name in MICROSCOPE:
            if getattr(given, name) is not None:
                raise UserError(f"{path} tells no defocus, without which {FLAGS[name]} has no use; leave it out")
    check_stacks(source.stack if kind == "pkl" and source.stack else path, particles)
    return particles


def _require_fitting_options(source: Source) -> None:
    if source.passthrough and source.kind != "cs":
        raise UserError(f"--passthrough goes with a .cs file, not with {source.path}")
    for flag, value in (("--ctf", source.ctf), ("--stack", source.stack)):
        if value is not None and source.kind != "pkl":
            raise UserError(f"{flag} goes with cryoDRGN's .pkl files; {source.path} tells that itself")
    if source.kind == "folder" and source.given != Given():
        raise UserError(f"{source.path} is a dataset folder, which tells all that there is; leave out the options")
