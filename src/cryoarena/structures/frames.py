"""Frames of a simulation, read when they are asked for."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.structures.atoms import read_atoms


class Frames(ABC):
    """The atoms of one system at many moments; picklable and small, since it holds paths."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of frames."""

    @abstractmethod
    def position_A(self, frame: int) -> NDArray[np.float32]:
        """Return all atoms (n, 3) of a frame.

        Raises:
            UserError: when the frame cannot be read or an atom has no place.
        """


@final
@dataclass(frozen=True)
class TrajectoryFrames(Frames):
    """Frames of a trajectory file of any format that MDAnalysis reads.

    Attributes:
        path: of the trajectory.
        n_atoms: of the topology.
    """

    path: Path
    n_atoms: int
    _opened: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return int(self._reader().n_frames)

    def position_A(self, frame: int) -> NDArray[np.float32]:
        """Return all atoms (n, 3) of a frame."""
        try:
            # A copy: some readers write the next frame into the same memory.
            position_A = np.array(self._reader()[frame].positions, np.float32)
        except (OSError, ValueError, RuntimeError, EOFError, IndexError) as error:
            raise UserError(f"{self.path}: frame {frame} cannot be read ({error}); is the file whole?") from error
        return _finite(position_A, f"{self.path}: frame {frame}")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file behind: every process has its own."""
        return {"path": self.path, "n_atoms": self.n_atoms, "_opened": {}}

    def _reader(self) -> Any:
        """Open the trajectory once.

        Raises:
            UserError: when it cannot be opened or has another number of atoms.
        """
        if "reader" not in self._opened:
            self._opened["reader"] = self._open()
        return self._opened["reader"]

    def _open(self) -> Any:
        from MDAnalysis.coordinates.core import get_reader_for

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader = get_reader_for(str(self.path))(str(self.path), n_atoms=self.n_atoms)
        except (OSError, ValueError, TypeError, RuntimeError, EOFError) as error:
            # Some readers compare the number of atoms themselves; their words tell both.
            reason = str(error).partition("\n")[0]
            raise UserError(f"{self.path} cannot be read as a trajectory of {self.n_atoms} atoms: {reason}") from error
        if reader.n_atoms != self.n_atoms:
            raise UserError(
                f"{self.path} has {reader.n_atoms} atoms in a frame but the topology names {self.n_atoms}; "
                "give the topology that the trajectory was written with"
            )
        return reader


@final
@dataclass(frozen=True)
class ModelFrames(Frames):
    """Frames that are one PDB or mmCIF file each.

    Attributes:
        paths: of the models.
        atom_name: (n,) names of the atoms of the first, which all must have.
    """

    paths: tuple[Path, ...]
    atom_name: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.paths)

    def position_A(self, frame: int) -> NDArray[np.float32]:
        """Return all atoms (n, 3) of a model."""
        atoms = read_atoms(self.paths[frame])
        if not np.array_equal(atoms.atom_name, self.atom_name):
            raise UserError(
                f"{self.paths[frame]} has other atoms ({len(atoms)}) than {self.paths[0]} ({len(self.atom_name)}); "
                "all models of a simulation must have the same"
            )
        return atoms.position_A.astype(np.float32)


def _finite(position_A: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    wrong = np.flatnonzero(~np.isfinite(position_A).all(axis=1))
    if len(wrong):
        raise UserError(f"{where}: {len(wrong)} atoms (first: number {wrong[0] + 1}) have no finite position")
    return position_A
