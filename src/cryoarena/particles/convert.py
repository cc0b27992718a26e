"""Convert particle tables between RELION, cryoSPARC, cryoDRGN and dataset folders."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryoarena.errors import UserError
from cryoarena.particles.convert_notes import conversion_notes
from cryoarena.particles.convert_source import Kind, Source, kind_of, read_source
from cryoarena.particles.cryodrgn import write_cryodrgn_ctf, write_cryodrgn_poses
from cryoarena.particles.cs import write_cs
from cryoarena.particles.dataset_folder import FOLDER_FILES, write_folder
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star, write_star_30

StarVersion = Literal["3.0", "3.1", "5"]


@dataclass(frozen=True)
class Converted:
    """What was converted, the files written and what a user must know."""

    particles: ParticleSet
    written: tuple[Path, ...]
    notes: tuple[str, ...]


def convert(source: Source, out: Path, star_version: StarVersion = "3.1", overwrite: bool = False) -> Converted:
    """Write the particles of `source` as `out` in the form that its name tells; images stay where they are.

    Args:
        source: of the particles.
        out: .star, .cs, poses.pkl (ctf.pkl and particles.star come beside it) or a folder.
        star_version: of RELION; what is written for 3.1 is also what 5 reads.
        overwrite: replace files that exist.

    Raises:
        UserError: when something is missing, damaged or contradictory, or a file would be replaced.
    """
    kind = kind_of(out)
    if star_version == "3.0" and kind != "star":
        raise UserError(f"--star-version goes with an output that ends in .star, not with {out}")
    particles = read_source(source)
    targets = _targets(kind, out, particles, source)
    _require_free(targets, source, overwrite)
    if kind == "star":
        (write_star_30 if star_version == "3.0" else write_star)(out, particles, mrc_hint=True)
    elif kind == "cs":
        write_cs(out, particles)
    elif kind == "pkl":
        _write_cryodrgn(out, particles, targets)
    else:
        targets = write_folder(out, particles)
    return Converted(particles, tuple(targets), tuple(conversion_notes(source, kind, particles)))


def _targets(kind: Kind, out: Path, particles: ParticleSet, source: Source) -> list[Path]:
    """Return the files to write."""
    if kind == "folder":
        if (out / "truth").exists():
            raise UserError(f"{out} has a truth, which would not be that of the new particles; choose another folder")
        return [out / name for name in FOLDER_FILES]
    if kind != "pkl":
        return [out]
    if particles.poses is None and particles.ctf is None:
        raise UserError(f"{source.path} tells neither poses nor CTF parameters, so that there is nothing to pickle")
    poses, ctf, star = _cryodrgn_paths(out)
    for path, known, what in ((poses, particles.poses, "poses"), (ctf, particles.ctf, "CTF parameters")):
        if path == out and known is None:
            other = ctf if path == poses else poses
            raise UserError(f"{source.path} tells no {what}; to convert the rest alone, name the output {other.name}")
    targets = [path for path, known in ((poses, particles.poses), (ctf, particles.ctf)) if known is not None]
    # A source table is itself the table of the images that the pickles go with.
    return targets if _is_one_of(star, source.tables) else [star, *targets]


def _cryodrgn_paths(out: Path) -> tuple[Path, Path, Path]:
    """Return the paths of poses, CTF and image table that go together, one of which is `out`."""
    if "ctf" in out.stem:
        return _renamed(out, "ctf", "poses"), out, _renamed(out, "ctf", "particles").with_suffix(".star")
    word = next((word for word in ("poses", "pose") if word in out.stem), None)
    if word is None:
        return out, out.with_stem(f"{out.stem}_ctf"), out.with_stem(f"{out.stem}_particles").with_suffix(".star")
    return out, _renamed(out, word, "ctf"), _renamed(out, word, "particles").with_suffix(".star")


def _renamed(path: Path, old: str, new: str) -> Path:
    return path.with_stem(path.stem.replace(old, new))


def _require_free(targets: Iterable[Path], source: Source, overwrite: bool) -> None:
    for path in targets:
        if _is_one_of(path, source.tables):
            raise UserError(f"{path} is what is converted and cannot be the output too; choose another name")
        if path.exists() and not overwrite:
            raise UserError(f"{path} exists; add --overwrite to replace it or choose another output")


def _is_one_of(path: Path, tables: Iterable[Path]) -> bool:
    return any(path.resolve() == table.resolve() for table in tables)


def _write_cryodrgn(out: Path, particles: ParticleSet, targets: list[Path]) -> None:
    poses, ctf, star = _cryodrgn_paths(out)
    if star in targets:
        write_star(star, particles)
    if particles.poses is not None:
        write_cryodrgn_poses(poses, particles.poses, particles.box_px, particles.pixel_size_A)
    if particles.ctf is not None:
        write_cryodrgn_ctf(ctf, particles.ctf, particles.box_px, particles.pixel_size_A)
