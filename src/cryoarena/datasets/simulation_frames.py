"""Read a simulation once: where its frames lie in the collective variables, and how large they are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.base import CollectiveVariable
from cryoarena.progress import progress_bar
from cryoarena.structures.collective_variable import CvExpression
from cryoarena.structures.placed_frames import PlacedFrames
from cryoarena.structures.topology import Topology


@dataclass(frozen=True)
class FrameTable:
    """What is known of F frames.

    Attributes:
        cvs: variable -> (F,).
        reach_A: (F,) how far from the origin an atom is at most.
    """

    cvs: dict[CollectiveVariable, NDArray[np.float64]]
    reach_A: NDArray[np.float64]


def measure_frames(placed: PlacedFrames, topology: Topology, expressions: Mapping[str, CvExpression]) -> FrameTable:
    """Read all frames and evaluate expressions, given by name, in every one.

    Raises:
        UserError: when a frame cannot be read, an atom has no place, or a selection picks nothing.
    """
    groups = [
        [topology.select(selection) for selection in expression.selections] for expression in expressions.values()
    ]
    frames = len(placed.frames)
    values = np.empty((len(expressions), frames))
    reach_A = np.empty(frames)
    first_A = placed.frames.position_A(0)
    with progress_bar("Reading frames") as report:
        for frame in range(frames):
            position_A = placed.frames.position_A(frame)
            for number, (expression, group) in enumerate(zip(expressions.values(), groups, strict=True)):
                values[number, frame] = expression.value(
                    [position_A[index] for index in group], [first_A[index] for index in group]
                )
            reach_A[frame] = np.linalg.norm(placed.placed(position_A), axis=1).max()
            report(frame + 1, frames)
    variables = [
        CollectiveVariable(name, expression.unit, expression.period, expression.text)
        for name, expression in expressions.items()
    ]
    return FrameTable(dict(zip(variables, values, strict=True)), reach_A)
