"""Results of any program, told by a table and a folder of maps."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, method
from cryoarena.methods.external.given_maps import GivenMaps, given_classes
from cryoarena.methods.external.import_only import ImportOnlyMethod
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.table.options import TableOptions
from cryoarena.methods.external.table.read_maps import class_maps, latent_maps
from cryoarena.methods.external.table.read_values import Values, read_values
from cryoarena.particles.particle_set import ParticleSet


@method
class Table(ImportOnlyMethod):
    """A table of latents, classes or probabilities."""

    card = MethodCard(
        name="table",
        title="Imported table",
        family="any",
        summary="A result of any program: latents, classes or probabilities in a table, maps in a folder.",
        citation="that of the program",
        heterogeneity="continuous",
        needs_poses=False,
    )
    import_options = TableOptions
    reads_file = True

    def read(self, source: Path, particles: ParticleSet, options: TableOptions) -> GivenMaps:
        """Read a table and maps: of its classes, or at latents, where the nearest one is that of a particle."""
        values = read_values(source, particles, options)
        dropped = len(particles) - len(values.rows)
        notes = [f"{dropped} of {len(particles)} particles are not in the table"] if dropped else []
        paths, centres, which, box_px = _maps(values, particles, options)
        if not paths:
            notes.append("the result has no maps; give a folder of them by --maps")
        elif box_px != particles.box_px:
            notes.append(f"the maps have a box of {box_px}; they are brought to {particles.box_px}")
        maps = MapFiles(paths, particles.box_px, particles.pixel_size_A, options.inverted)
        about: dict[str, Any] = {
            "rows": values.rows if dropped else None,
            "notes": tuple(notes),
            "found": {"program": options.program} if options.program else {},
        }
        if values.latents is not None:
            return GivenMaps(values.latents, centres, which, maps, posterior=values.posterior, **about)
        assert values.posterior is not None
        return given_classes(values.posterior, maps, **about)


def _maps(
    values: Values, particles: ParticleSet, options: TableOptions
) -> tuple[tuple[Path, ...], NDArray[np.float32], NDArray[np.int64], int | None]:
    """Return maps, latents (m, d) that have one, the number of the map of each, and the box of the maps."""
    dimensions = 0 if values.latents is None else values.latents.shape[1]
    if options.maps is None:
        for name in ("pixel_size_A", "inverted"):
            if getattr(options, name):
                raise UserError(f"option {name} is about maps; give their folder by --maps")
        return (), np.empty((0, dimensions), np.float32), np.empty(0, np.int64), None
    folder = Path(options.maps).absolute()
    paths = class_maps(folder, values)
    if paths is None:
        paths, centres = latent_maps(folder, values, particles)
        which = np.arange(len(paths))
    elif values.latents is not None and values.posterior is not None:
        centres, which = values.latents, values.posterior.argmax(axis=1)
    else:
        # given_classes makes the latents of classes from their maps.
        centres, which = np.empty((0, dimensions), np.float32), np.empty(0, np.int64)
    return paths, centres, which, require_field(paths, particles, options.pixel_size_A)
