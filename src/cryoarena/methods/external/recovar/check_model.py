"""Look at the pickles of `recovar pipeline` before RECOVAR opens them again, which would run what they ask for."""

import argparse
from pathlib import Path
from typing import Any

from cryoarena.errors import UserError
from cryoarena.particles.safe_pickle import Records, check_pickle, read_array_pickle

_PARAMETERS = "params.pkl"
_HALF_SETS = ("halfsets.pkl", "particles_halfsets.pkl")
# Not all that the pipeline wrote; embeddings where there are none beside it in .npy.
_OPENED = (_PARAMETERS, *_HALF_SETS, "embeddings.pkl")
# Arguments of the pipeline that may name pickles.
_GIVEN = ("ctf", "poses")


def check_model(model: Path, work: Path) -> None:
    """Check that nothing that `compute_state` opens runs anything.

    Args:
        model: folder of the pipeline's model.
        work: folder that it is going to run in.

    Raises:
        UserError: when a pickle holds something else than arrays and plain values, is missing or damaged.
    """
    found = {name: check_pickle(model / name, _RECORDS) for name in _OPENED if (model / name).is_file()}
    for name in _HALF_SETS:
        # Without half-sets it would look for other pickles.
        if not isinstance(read_array_pickle(model / name), (list, tuple)):
            raise UserError(f"{model / name} holds no half-sets; run `recovar pipeline` again")
    parameters = found.get(_PARAMETERS)
    given = parameters.get("input_args") if isinstance(parameters, dict) else None
    if not isinstance(given, argparse.Namespace):
        raise UserError(f"{model / _PARAMETERS} does not tell what RECOVAR was given; run `recovar pipeline` again")
    for name in _GIVEN:
        told = getattr(given, name, None)
        if isinstance(told, str) and told.endswith(".pkl") and (work / told).is_file():
            read_array_pickle(work / told)


def _jax_array(make: Any, arguments: Any, state: Any, *_: Any) -> Any:
    """Record an array of jax, which names how numpy makes one."""
    array = make(*arguments)
    array.__setstate__(state)
    return array


_RECORDS: Records = {
    ("argparse", "Namespace"): argparse.Namespace,
    ("jax._src.array", "_reconstruct_array"): _jax_array,
}
