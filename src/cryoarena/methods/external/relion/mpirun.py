"""Run RELION's refinement of two half-sets, which needs MPI: a leader and two followers."""

import shutil
from collections.abc import Sequence

from cryoarena.errors import UserError
from cryoarena.methods.external.run_program import Command

_PROCESSES = 3
# For Open MPI; others do not look at them. More processes than cores are no mistake, since the leader only waits, and
# nothing is started on other machines.
_VARIABLES = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_plm": "isolated",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
}


def has_mpirun() -> bool:
    """Tell whether processes can be started."""
    return shutil.which("mpirun") is not None


def no_mpirun() -> str:
    """Return the sentence for where they cannot."""
    return "mpirun is not on PATH, which RELION refines half-sets by; install the Debian package openmpi-bin"


def refine_mpi(words: Sequence[str], threads: int) -> Command:
    """Return the command that runs relion_refine_mpi with these arguments, so many threads for each half-set.

    Raises:
        UserError: when there is no mpirun.
    """
    env, mpirun = shutil.which("env"), shutil.which("mpirun")
    if env is None or mpirun is None:
        raise UserError(no_mpirun())
    variables = [f"{name}={value}" for name, value in _VARIABLES.items()]
    program = [mpirun, "-n", str(_PROCESSES), "relion_refine_mpi"]
    # Through the network that is no network: else every process writes large files.
    always = ["--j", str(threads), "--dont_combine_weights_via_disc"]
    return Command([env, *variables, *program, *words, *always], threads)
