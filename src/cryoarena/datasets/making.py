"""Mark a dataset folder as being made, so that the same command goes on after an interruption."""

from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.files import read_json

MAKING = ".making.json"


def is_begun(out: Path, dataset_id: str, overwrite: bool) -> bool:
    """Tell whether `out` was left by an interrupted run of the same recipe.

    Raises:
        UserError: when it holds anything else that may not be replaced.
    """
    if overwrite or not (out / MAKING).exists():
        return False
    if read_json(out / MAKING)["id"] != dataset_id:
        raise UserError(
            f"{out} holds an unfinished dataset of other settings; repeat its command to finish it or add "
            "--overwrite to replace it"
        )
    return True
