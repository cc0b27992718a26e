"""cryoSPARC's heterogeneity jobs as methods whose results are imported."""

from pathlib import Path
from typing import Any

from cryoarena.methods.base import MethodCard, Reconstruction, method, methods
from cryoarena.methods.external.cryosparc.flex import read_flex
from cryoarena.methods.external.cryosparc.job_folder import JobFolder, open_job
from cryoarena.methods.external.cryosparc.options import ImportOptions
from cryoarena.methods.external.cryosparc.read_classes import read_classes
from cryoarena.methods.external.cryosparc.variability import read_variability
from cryoarena.methods.external.external_method import ImportableMethod
from cryoarena.methods.external.given_maps import GivenMaps
from cryoarena.methods.external.import_only import ImportOnlyMethod
from cryoarena.methods.external.linear_maps import LinearMaps, load_linear_maps
from cryoarena.particles.particle_set import ParticleSet

_PREFIX = "cryosparc-"
_CRYOSPARC = "Punjani et al. 2017, doi:10.1038/nmeth.4169"
_FLEX = "Punjani and Fleet 2023, doi:10.1038/s41592-023-01853-8"
_VARIABILITY = "Punjani and Fleet 2021, doi:10.1016/j.jsb.2021.107702"


@method
class Cryosparc(ImportOnlyMethod):
    """Any job folder of cryoSPARC with heterogeneity in it; the result is of the method of its kind."""

    card = MethodCard(
        name="cryosparc",
        title="cryoSPARC",
        family="program",
        summary="cryoSPARC 3 to 5, imported: the kind of job is found from its folder.",
        citation=_CRYOSPARC,
        heterogeneity="continuous",
        needs_gpu=True,
    )
    import_options = ImportOptions

    def method_of(self, source: Path, options: ImportOptions) -> ImportableMethod[Any]:
        """Return the method of the kind of job that a folder is of."""
        found = methods.get(_PREFIX + open_job(source, options.kind).kind)
        assert isinstance(found, ImportableMethod)
        return found

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> Reconstruction:
        """Read a job folder of any kind."""
        return self.method_of(folder, options).read(folder, particles, options)


class _JobMethod(ImportOnlyMethod):
    """A kind of job; its name is `cryosparc-` and the kind."""

    import_options = ImportOptions

    def open(self, folder: Path) -> JobFolder:
        """Open a job folder of this kind."""
        return open_job(folder, self.card.name.removeprefix(_PREFIX))


class _ClassesMethod(_JobMethod):
    """A kind of job that makes classes."""

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
        """Read classes and maps, and the poses of jobs that are not given any."""
        return read_classes(self.open(folder), particles, options, finds_poses=not self.card.needs_poses)


@method
class Classification(_ClassesMethod):
    """Classification with given poses: a job of type class_3D."""

    card = MethodCard(
        name="cryosparc-class3d",
        title="cryoSPARC 3D Classification",
        family="3-D classification",
        summary="cryoSPARC 3D Classification, imported: class probabilities and maps.",
        citation=_CRYOSPARC,
        heterogeneity="discrete",
        needs_gpu=True,
    )


@method
class HeteroRefinement(_ClassesMethod):
    """Classification and refinement of poses from given maps: a job of type hetero_refine."""

    card = MethodCard(
        name="cryosparc-hetero-refine",
        title="cryoSPARC Heterogeneous Refinement",
        family="3-D classification",
        summary="cryoSPARC Heterogeneous Refinement, imported: class probabilities, maps and poses.",
        citation=_CRYOSPARC,
        heterogeneity="discrete",
        needs_poses=False,
        needs_gpu=True,
    )


@method
class AbInitio(_ClassesMethod):
    """Classification and poses from nothing, by stochastic gradient descent: a job of type homo_abinit."""

    card = MethodCard(
        name="cryosparc-ab-initio",
        title="cryoSPARC Ab-Initio Reconstruction",
        family="3-D classification",
        summary="cryoSPARC Ab-Initio Reconstruction, imported: class probabilities, maps and poses.",
        citation=_CRYOSPARC,
        heterogeneity="discrete",
        needs_poses=False,
        needs_gpu=True,
    )


@method
class Variability(_JobMethod):
    """Probabilistic principal component analysis; maps are linear in the coordinates."""

    card = MethodCard(
        name="cryosparc-3dva",
        title="cryoSPARC 3D Variability",
        family="linear subspace",
        summary="cryoSPARC 3D Variability, imported: coordinates, the map and its components.",
        citation=_VARIABILITY,
        heterogeneity="continuous",
        needs_gpu=True,
    )

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> LinearMaps:
        """Read the folder of a job of type var_3D."""
        return read_variability(self.open(folder), particles, options)

    def load(self, folder: Path, particles: ParticleSet) -> LinearMaps:
        """Read back a map and its components."""
        return load_linear_maps(folder, particles)


@method
class Flex(_JobMethod):
    """A neural network bends one map."""

    card = MethodCard(
        name="cryosparc-3dflex",
        title="cryoSPARC 3D Flex",
        family="neural network, deformation",
        summary="cryoSPARC 3D Flex, imported: latents, and maps generated at some of them.",
        citation=_FLEX,
        heterogeneity="continuous",
        needs_gpu=True,
    )

    def read(self, folder: Path, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
        """Read the folder of a job of type flex_train."""
        return read_flex(self.open(folder), particles, options)
