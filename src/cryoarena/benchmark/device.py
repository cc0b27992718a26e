"""Check the device that a user names."""

import torch

from cryoarena.errors import UserError


def require_device(device: str, our_torch: bool = True) -> None:
    """Check that a device is known and that this machine has it.

    Args:
        device: cpu or cuda.
        our_torch: whether it is for torch in this environment; an outside program has its own, and looks itself.

    Raises:
        UserError: when it is neither cpu nor cuda, or there is no CUDA device.
    """
    if device not in {"cpu", "cuda"}:
        raise UserError(f"--device must be cpu or cuda, not {device!r}")
    if device == "cuda" and our_torch and not torch.cuda.is_available():
        raise UserError("--device cuda: this machine has no CUDA device that torch can use; choose --device cpu")
