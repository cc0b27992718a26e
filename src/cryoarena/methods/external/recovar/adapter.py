"""RECOVAR as a method."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Reconstruction, Resources, Run, method
from cryoarena.methods.external.external_method import Done, ExternalMethod
from cryoarena.methods.external.given_maps import load_given_maps
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.recovar.program import RECOVAR, recovar_command
from cryoarena.methods.external.recovar.read_output import STATES, ImportOptions, read_output
from cryoarena.methods.external.recovar.result_folder import is_finished, read_pipeline
from cryoarena.methods.external.recovar.states import load_states, state_command, write_latents
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star

_MASKS = ("from_halfmaps", "sphere", "none")
# What the log says at the ends of its phases, with the part of the time that is then over at 64 px; the other half is
# for states.
_PHASES = {
    "mean computed in": 0.025,
    "time to upper bound noise": 0.05,
    "end of covariance computation": 0.4,
    "total embedding time": 0.5,
}
_STATE_DONE = re.compile(r"Done with volume (\d+)")


@dataclass(frozen=True)
class RecovarOptions:
    """Options of `recovar`.

    Attributes:
        zdim: dimension of the latent.
        mask: from_halfmaps, sphere, none, or the path of a map.
        downsample_px: box to which images are downsampled first; maps are brought back to the box of the dataset.
        correct_contrast: estimate a contrast of every image too.
        states: number of maps, at k-means centres of the latents; a latent has the map of the nearest. With 0 every
            map that is asked for is computed, which takes minutes each on a CPU.
        budget_GB: memory by which the pipeline sizes its batches; by default that of the GPU, or half of what is free.
    """

    zdim: int = 10
    mask: str = "from_halfmaps"
    downsample_px: int | None = None
    correct_contrast: bool = False
    states: int = 20
    budget_GB: float | None = None


@method
class Recovar(ExternalMethod[RecovarOptions]):
    """`recovar pipeline` finds mean, covariance and latents; `recovar compute_state` makes maps of latents."""

    card = MethodCard(
        name="recovar",
        title="RECOVAR",
        family="covariance",
        summary="RECOVAR: latents by regularised covariance, maps by kernel regression; given poses.",
        citation="Gilles & Singer 2025, doi:10.1073/pnas.2419140122",
        heterogeneity="continuous",
        resources=Resources(memory_GB=24.0, minutes=120.0, minutes_per_gigapixel=9000.0),
    )
    options = RecovarOptions
    import_options = ImportOptions
    tool = RECOVAR

    def commands(self, particles: ParticleSet, options: RecovarOptions, run: Run, work: Path) -> Iterator[Command]:
        """Run the pipeline, and make the states."""
        words = _checked(particles, options)
        output = work / self.output
        if not is_finished(output):
            # It does not go on where it was.
            shutil.rmtree(output, ignore_errors=True)
            write_star(work / "particles.star", link_stacks(particles, work))
            sign = "true" if particles.contrast_sign > 0 else "false"
            words += ["--datadir", ".", "--zdim", str(options.zdim), "--uninvert-data", sign, "-o", self.output]
            words += ["--accept-cpu"] if run.device == "cpu" else []
            yield Command([*recovar_command("pipeline", run.device != "cpu"), "particles.star", *words])
        if options.states and not (output / STATES).is_file():
            latents = read_pipeline(output).latents(options.zdim)
            latents = latents[np.isfinite(latents).all(axis=1)]
            centres = KMeans(options.states, n_init=1, random_state=run.seed).fit(latents).cluster_centers_
            more = write_latents(work / "z.txt", centres)
            # latent_coords.txt is what it writes last.
            states = str(Path(self.output, STATES).parent)
            yield Command([*state_command(self.output, states, "z.txt", run.device != "cpu"), *more])

    def progress(self, line: str) -> Done | None:
        """Return which phase of the pipeline is over, or which state; how many there will be is not told."""
        if found := _STATE_DONE.search(line):
            done = int(found[1]) + 1
            return Done(0.5 + 0.5 * done / (done + 1), 1, f"state {done}")
        return next((Done(part, 1, name) for name, part in _PHASES.items() if name in line), None)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> Reconstruction:
        """Read the folder of a pipeline."""
        return read_output(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> Reconstruction:
        """Read saved states, or what makes them."""
        return (
            load_given_maps(folder, particles) if (folder / "maps.json").is_file() else load_states(folder, particles)
        )


def _checked(particles: ParticleSet, options: RecovarOptions) -> list[str]:
    """Return arguments for options that may be wrong.

    Raises:
        UserError: when one is.
    """
    mask = options.mask
    if mask not in _MASKS:
        if not Path(mask).is_file():
            raise UserError(f"option mask must be {', '.join(_MASKS)} or the path of a map; {mask} does not exist")
        mask = str(Path(mask).absolute())
    box_px = options.downsample_px
    if box_px is not None and (box_px % 2 or not 2 <= box_px < particles.box_px):
        raise UserError(f"option downsample_px is {box_px}; it must be even and less than {particles.box_px}")
    if not 0 <= options.states <= len(particles):
        raise UserError(f"option states is {options.states}; it must be from 0 to the number of images")
    words = ["--mask", mask]
    words += ["--no-downsample"] if box_px is None else ["--downsample", str(box_px)]
    if options.budget_GB is not None:
        if options.budget_GB <= 0:
            raise UserError(f"option budget_GB is {options.budget_GB}; it must be above 0")
        words += ["--gpu-budget-gb", str(options.budget_GB)]
    return words + (["--correct-contrast"] if options.correct_contrast else [])
