"""Tell whether stacks can be mixed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.particles.particle_set import ParticleSet


def require_mixable(tables: Sequence[Path], sets: Sequence[ParticleSet], counts: Sequence[int]) -> None:
    """Check that stacks are alike, large enough and share no image.

    Args:
        tables: K paths, which name the stacks in errors.
        sets: K, their particles.
        counts: (K,) particles to take of each.

    Raises:
        UserError: when they are not.
    """
    _require_alike(tables, sets)
    _require_enough(tables, sets, counts)
    _require_distinct(tables, sets)


def _require_alike(tables: Sequence[Path], sets: Sequence[ParticleSet]) -> None:
    first = sets[0]
    for table, one in zip(tables[1:], sets[1:], strict=True):
        for what, mine, other, alike in (
            ("boxes of {} px", first.box_px, one.box_px, first.box_px == one.box_px),
            (
                "pixels of {:.6g} Å",
                first.pixel_size_A,
                one.pixel_size_A,
                np.isclose(first.pixel_size_A, one.pixel_size_A, rtol=1e-4, atol=0),
            ),
            ("contrast sign {}", first.contrast_sign, one.contrast_sign, first.contrast_sign == one.contrast_sign),
        ):
            if not alike:
                raise UserError(
                    f"{tables[0]} has {what.format(mine)} but {table} has {what.format(other)}; "
                    "stacks that are mixed must have the same: rescale or extract one of them again"
                )


def _require_enough(tables: Sequence[Path], sets: Sequence[ParticleSet], counts: Sequence[int]) -> None:
    for table, wanted, one in zip(tables, counts, sets, strict=True):
        if wanted > len(one):
            raise UserError(
                f"{table} has {len(one)} particles but --counts asks for {wanted}; "
                "particles are drawn without replacement, so ask for fewer"
            )


def _require_distinct(tables: Sequence[Path], sets: Sequence[ParticleSet]) -> None:
    """Refuse an image that two tables name: its label would be ambiguous."""
    owner: dict[Path, set[int]] = {}
    for number, one in enumerate(sets):
        for path in one.stack_files:
            owner.setdefault(path.resolve(), set()).add(number)
    for path, numbers in owner.items():
        if len(numbers) < 2:
            continue
        seen = np.zeros(0, np.int64)
        for number in sorted(numbers):
            one = sets[number]
            stacks = [index for index, file in enumerate(one.stack_files) if file.resolve() == path]
            slices = one.slice_index[np.isin(one.stack_index, stacks)]
            if len(again := np.intersect1d(seen, slices)):
                raise UserError(
                    f"{tables[number]} names image {again[0] + 1:06d}@{path.name}, which another of the tables also "
                    "names; an image can have one label only"
                )
            seen = np.union1d(seen, slices)
