"""Find out how a Slurm cluster tells the state of jobs."""

import shutil
import subprocess

from cryoarena.errors import UserError

# Without accounting `sacct` knows nothing for ever, and there are no accounts to charge.
_WITHOUT_ACCOUNTING = (
    "--slurm-no-account",
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "5",
)


def slurm_arguments() -> tuple[str, ...]:
    """Return what Snakemake's Slurm plug-in has to be told about this cluster.

    Raises:
        UserError: when there is no Slurm here, or it does not answer.
    """
    if shutil.which("scontrol") is None:
        raise UserError("--executor slurm: there is no scontrol here; start the suite on a machine of the cluster")
    asked = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise UserError(f"--executor slurm: scontrol does not answer: {asked.stderr.strip() or asked.stdout.strip()}")
    return () if _has_accounting(asked.stdout) else _WITHOUT_ACCOUNTING


def _has_accounting(config: str) -> bool:
    for line in config.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "AccountingStorageType":
            return value.strip() not in ("accounting_storage/none", "(null)", "")
    return False
