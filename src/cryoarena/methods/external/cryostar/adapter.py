"""CryoSTAR as a method."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.methods.base import MethodCard, Resources, Run, method
from cryoarena.methods.external.cryostar.program import CRYOSTAR, SCRIPT
from cryoarena.methods.external.cryostar.read_output import ImportOptions, last_evaluation, read_output
from cryoarena.methods.external.external_method import Done, ExternalMethod, wrong_ctf
from cryoarena.methods.external.given_maps import GivenMaps, load_given_maps
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star

_STAR, _ATOM, _DENSITY, _ENDED = "particles.star", "atom", "density", "density_ended"
_EPOCH = re.compile(r"epoch (\d+) \[(\d+)/(\d+)\] \|")
# How often its own examples evaluate.
_STEPS, _EPOCHS = 12_000, 5


@dataclass(frozen=True)
class CryostarOptions:
    """Options of `cryostar`; the defaults are those of its authors, but for one GPU.

    Attributes:
        model: path of an atomic model, docked into the consensus map; there is no run without one.
        atom_steps: of the training that bends the model.
        density_epochs: of the training that turns its latents into maps.
        hidden: width of the network of maps.
        atom_batch_size, density_batch_size: images per step.
    """

    model: Path | None = None
    atom_steps: int = 96_000
    density_epochs: int = 20
    hidden: int = 1024
    atom_batch_size: int = 64
    density_batch_size: int = 16


@method
class Cryostar(ExternalMethod[CryostarOptions]):
    """A neural network bends an atomic model, another turns its latents into maps."""

    card = MethodCard(
        name="cryostar",
        title="CryoSTAR",
        family="neural network, atomic model",
        summary="CryoSTAR: latents that bend an atomic model, and maps of a density generator; given poses and model.",
        citation="Li et al. 2024, doi:10.1038/s41592-024-02486-1",
        heterogeneity="continuous",
        needs_gpu=True,
        resources=Resources(memory_GB=32.0, minutes=120.0, minutes_per_gigapixel=3000.0),
    )
    options = CryostarOptions
    import_options = ImportOptions
    tool = CRYOSTAR
    output = f"{_DENSITY}/work_dirs/{_DENSITY}"

    def commands(self, particles: ParticleSet, options: CryostarOptions, run: Run, work: Path) -> Iterator[Command]:
        """Train the generator of atoms, and that of maps on its latents, each unless it has ended."""
        if options.model is None or not options.model.is_file():
            what = "tells no atomic model" if options.model is None else f"is {options.model}, which does not exist"
            raise UserError(f"option model {what}; give one docked into the consensus map with --set model=FILE.pdb")
        if min(options.atom_steps, options.density_epochs) < 1:
            raise UserError("options atom_steps and density_epochs must be at least 1")
        # It takes a table of one optics group, and corrects no beam tilt.
        given = replace(link_stacks(particles, work), optics_group=None, optics_names=(), beam_tilt_mrad=None)
        write_star(work / _STAR, given)
        data = [
            f"dataset_attr.dataset_dir={work.absolute()}",
            f"dataset_attr.starfile_path={(work / _STAR).absolute()}",
        ]
        data += ["trainer.devices=1"]
        atom = work / _ATOM / "work_dirs" / _ATOM
        steps = min(_STEPS, options.atom_steps)
        if not _has_ended(atom, options.atom_steps // steps * steps):
            shutil.rmtree(work / _ATOM, ignore_errors=True)
            words = [f"seed={run.seed}", f"dataset_attr.ref_pdb_path={options.model.absolute()}"]
            words += [f"trainer.max_steps={options.atom_steps}", f"trainer.val_check_interval={steps}"]
            words += [f"data_loader.train_batch_per_gpu={options.atom_batch_size}"]
            yield _command(_ATOM, [*words, *data])
        if not (work / _ENDED).is_file():
            shutil.rmtree(work / _DENSITY, ignore_errors=True)
            latents = (last_evaluation(atom) / "z.npy").absolute()
            words = [f"extra_input_data_attr.given_z={latents}", f"model.hidden={options.hidden}"]
            words += [f"trainer.max_epochs={options.density_epochs}"]
            words += [f"trainer.check_val_every_n_epoch={min(_EPOCHS, options.density_epochs)}"]
            words += [f"data_loader.train_batch_per_gpu={options.density_batch_size}"]
            yield _command(_DENSITY, [*words, *data])
            (work / _ENDED).touch()

    def progress(self, line: str) -> Done | None:
        """Return how far a training is; how many epochs there will be is not told."""
        if (found := _EPOCH.search(line)) is None:
            return None
        epoch, batch, batches = map(int, found.groups())
        done = epoch + batch / batches
        return Done(done, done + 1, f"epoch {epoch}")

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why it cannot run on these particles, or here."""
        if particles.contrast_sign < 0:
            return "CryoSTAR is not known to understand images with dark protein, and in these it is dark"
        return super().not_applicable(particles) or wrong_ctf("CryoSTAR", particles, one_microscope=True)

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
        """Read the last evaluation in a work folder."""
        return read_output(folder, particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> GivenMaps:
        """Read back maps that belong to latents."""
        return load_given_maps(folder, particles)


def _command(what: str, words: list[str]) -> Command:
    script, configuration = f"train_{what}.py", f"{what}_configs/example.py"
    return Command(["python", SCRIPT, what, script, configuration, "--cfg-options", f"exp_name={what}", *words])


def _has_ended(folder: Path, step: int) -> bool:
    """Return whether the evaluation after a step, or a later one, is there."""
    return any(int(path.parent.name.split("_")[1]) >= step for path in folder.glob("[0-9]*_[0-9]*/z.npy"))
