"""Keep the state of a run between iterations, so that an interrupted run goes on where it was."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import atomic_path

State = dict[str, NDArray[np.generic]]
History = list[dict[str, float]]
_IDENTITY, _HISTORY = "_identity", "_history"


@dataclass(frozen=True)
class Checkpoint:
    """The last state that a run saved.

    Attributes:
        path: .npz file, or None where nothing is kept.
        identity: of the run (method, options, dataset, seed); a state of another run is not loaded.
    """

    path: Path | None = None
    identity: str = ""

    def load(self) -> tuple[State, History] | None:
        """Return the saved arrays and history, or None where there are none of this run."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                if str(archive[_IDENTITY]) != self.identity:
                    return None
                state = {name: archive[name] for name in archive.files if name not in (_IDENTITY, _HISTORY)}
                return state, json.loads(str(archive[_HISTORY]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            # A damaged state costs time, not the result: the run starts anew.
            return None

    def save(self, state: State, history: History) -> None:
        """Replace the saved state; what is saved must decide all that follows, random draws included."""
        if self.path is None:
            return
        with atomic_path(self.path) as temporary, temporary.open("wb") as stream:
            texts = {_IDENTITY: np.array(self.identity), _HISTORY: np.array(json.dumps(history))}
            np.savez(stream, allow_pickle=False, **state, **texts)

    def remove(self) -> None:
        """Delete the saved state."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
