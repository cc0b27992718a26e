"""The folder that an outside program works in, kept while its run is interrupted."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from cryoarena.files import atomic_path

_IDENTITY = "run-identity.txt"


@dataclass(frozen=True)
class WorkFolder:
    """A folder of one run.

    Attributes:
        path: of the folder, or None where a run has none.
        identity: of the run (method, options, dataset, seed); the files of another run are deleted, not taken.
    """

    path: Path | None = None
    identity: str = ""

    def open(self) -> Path:
        """Return the folder, with all that this run left there before it was interrupted.

        Raises:
            ValueError: when the run was given no folder.
        """
        if self.path is None:
            raise ValueError("this run was given no folder to work in")
        if not self.has("."):
            self.remove()
            with atomic_path(self.path / _IDENTITY) as temporary:
                temporary.write_text(self.identity)
        return self.path.absolute()

    def has(self, name: str) -> bool:
        """Return whether this run left a file of this name there."""
        if self.path is None:
            return False
        identity = self.path / _IDENTITY
        return identity.is_file() and identity.read_text() == self.identity and (self.path / name).exists()

    def remove(self) -> None:
        """Delete the folder and all that is in it."""
        if self.path is not None and self.path.is_dir():
            shutil.rmtree(self.path)
