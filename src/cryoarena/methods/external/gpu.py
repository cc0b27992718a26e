"""Whether this machine has a GPU for outside programs."""

import shutil
import subprocess


def has_gpu() -> bool:
    """Return whether nvidia-smi lists a GPU: the torch of this environment may be a build for the CPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    done = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "GPU" in done.stdout
