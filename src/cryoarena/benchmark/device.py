"""Check the device that a user names."""

import torch

from cryoarena.errors import UserError


def require_device(device: str) -> None:
    """Check that a torch device is known and that this machine has it.

    Raises:
        UserError: when it is neither cpu nor cuda, or there is no CUDA device.
    """
    if device not in {"cpu", "cuda"}:
        raise UserError(f"--device must be cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: this machine has no CUDA device that torch can use; choose --device cpu")
