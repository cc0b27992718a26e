"""A real Slurm on this machine alone: munged, slurmctld and slurmd of a temporary folder, without accounting."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "scontrol")
# Where Debian puts daemons, which is not on the PATH of every user.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

_CONFIG = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory_MB} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """Return the programs of Slurm that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program, path=_PATH) is None]


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start Slurm and yield the environment in which its commands find it."""
    host = socket.gethostname().split(".")[0]
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(parents=True, mode=0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    config = folder / "slurm.conf"
    controller_port, node_port = _free_ports(2)
    config.write_text(
        _CONFIG.format(
            host=host,
            user=getpass.getuser(),
            folder=folder,
            controller_port=controller_port,
            node_port=node_port,
            cores=os.cpu_count(),
            memory_MB=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        )
    )
    environment = {**os.environ, "PATH": f"{_commands(folder, config)}:{_PATH}", "SLURM_CONF": str(config)}
    munge = ["munged", "--foreground", "--force", "--num-threads=2", f"--key-file={key}"]
    munge += [f"--{name}-file={folder}/munge/{name}" for name in ("pid", "log", "seed")]
    munge += [f"--socket={folder}/munge/socket"]
    with ExitStack() as daemons:
        daemons.enter_context(_daemon(munge, environment, folder / "munge.out"))
        _wait_for(lambda: (folder / "munge" / "socket").exists(), folder)
        daemons.enter_context(_daemon(["slurmctld", "-D"], environment, folder / "slurmctld.out"))
        daemons.enter_context(_daemon(["slurmd", "-D", "-N", host], environment, folder / "slurmd.out"))
        _wait_for(lambda: "idle" in _told(["sinfo", "-h", "-o", "%T"], environment), folder)
        yield environment


def _commands(folder: Path, config: Path) -> Path:
    """Return a folder of commands that know where the configuration is, since Snakemake clears SLURM_CONF for jobs."""
    commands = folder / "bin"
    commands.mkdir()
    for name in ("sbatch", "srun", "scancel", "squeue", "scontrol", "sinfo"):
        program = commands / name
        program.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which(name, path=_PATH)} "$@"\n')
        program.chmod(0o755)
    return commands


@contextmanager
def _daemon(words: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("w") as stream:
        process = subprocess.Popen(words, env=environment, stdout=stream, stderr=stream)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _told(words: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False).stdout


def _wait_for(is_so: Callable[[], bool], folder: Path) -> None:
    for _ in range(240):
        if is_so():
            return
        time.sleep(0.5)
    told = "\n".join(f"{path.name}: {path.read_text()[-500:]}" for path in folder.glob("*.out"))
    raise AssertionError(f"Slurm did not start: {told}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        found = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]
