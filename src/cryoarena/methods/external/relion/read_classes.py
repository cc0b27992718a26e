"""Read the folder of a RELION classification as a reconstruction of a dataset's particles."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.methods.external.given_maps import GivenMaps, given_classes
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.match_rows import match_star
from cryoarena.methods.external.relion.job_folder import Iteration, choose_iteration, read_history, read_version
from cryoarena.methods.external.relion.particle_rows import read_classes, read_new_poses
from cryoarena.methods.external.relion.reconstruct import reconstruct_classes
from cryoarena.particles.particle_set import ParticleSet

MAPS = ("class", "reconstructed", "none")


@dataclass(frozen=True)
class ImportOptions:
    """What to take of a job folder.

    Attributes:
        iteration: to take; the last complete one by default.
        maps: "class" for RELION's own, or "reconstructed" for those that relion_reconstruct makes of each class,
            which no prior cuts off; "none" for the classes alone, of any job whose table has them, such as Class2D.
    """

    iteration: int | None = None
    maps: str = "class"


def check_maps_option(maps: str) -> None:
    """Check the option `maps`.

    Raises:
        UserError: when there is no such choice.
    """
    if maps not in MAPS:
        raise UserError(f"option maps must be {', '.join(MAPS[:-1])} or {MAPS[-1]}, not {maps!r}")


def read_job(folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
    """Read what Class3D, InitialModel or a refinement of one class left, or the classes of any other job.

    Raises:
        UserError: when the folder is of another program or kind of job, a file is missing, or rows and particles do
            not match.
        ProgramFailed: when maps are to be reconstructed and RELION fails.
    """
    check_maps_option(options.maps)
    iteration = choose_iteration(folder, options.iteration)
    alone = options.maps == "none"
    paths = () if alone else _class_maps(iteration)
    box_px = particles.box_px if alone else require_field(paths, particles)
    rows = match_star(iteration.data, particles)
    label, mean_probability = read_classes(iteration.data, None if alone else len(paths))
    classes = 1 + int(label.max()) if alone else len(paths)
    # Angles of images in a plane are no poses.
    poses = None if alone else read_new_poses(iteration.data, rows, particles)
    order = np.argsort(rows)
    order = order[label[order] >= 0]
    rows, label, poses = rows[order], label[order], None if poses is None else poses[order]
    if options.maps == "reconstructed":
        box_px = particles.box_px
        seen = particles.subset(rows)
        maps: MapFiles = reconstruct_classes(seen if poses is None else replace(seen, poses=poses), label, len(paths))
    else:
        # RELION does not know of signs: images of dark particles give dark maps.
        maps = MapFiles(paths, particles.box_px, particles.pixel_size_A, particles.contrast_sign < 0)
    version, arguments = read_version(iteration)
    found = {
        "program": f"RELION {version}",
        "arguments": arguments,
        "judged": iteration.label,
        "maps": options.maps,
        "box_px": box_px,
        "images_of_classes": np.bincount(label, minlength=classes).tolist(),
    }
    if mean_probability is not None:
        found["mean_probability_of_the_class"] = mean_probability
    return given_classes(
        np.eye(classes, dtype=np.float32)[label],
        maps,
        rows=rows if len(rows) < len(particles) else None,
        poses=poses,
        history=read_history(folder, iteration),
        notes=_notes(particles, len(rows), box_px),
        found=found,
    )


def _class_maps(iteration: Iteration) -> tuple[Path, ...]:
    """Return the maps of all classes.

    Raises:
        UserError: when there is none, or one is missing.
    """
    paths = iteration.class_maps()
    if not paths:
        raise UserError(
            f"{iteration.data.parent} has no {iteration.beside('class001.mrc').name}; give the folder of a Class3D or "
            "InitialModel job, or of a Refine3D job that is finished, or `--set maps=none` for its classes alone"
        )
    if missing := [path for path in paths if not path.is_file()]:
        raise UserError(f"{missing[0]} is missing; copy the maps of all classes, or choose another iteration")
    return tuple(paths)


def _notes(particles: ParticleSet, rows: int, box_px: int) -> tuple[str, ...]:
    notes = ["RELION tells the best class of an image alone; it has the posterior 1"]
    if rows < len(particles):
        notes.append(
            f"{len(particles) - rows} of {len(particles)} particles have no class: the program did not see them"
        )
    if box_px != particles.box_px:
        notes.append(f"the program worked on images of {box_px} px; its maps are brought to {particles.box_px} px")
    return tuple(notes)
