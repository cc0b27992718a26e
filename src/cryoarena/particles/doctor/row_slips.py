"""Stretches of a table that have slipped by a row, where the rest is right."""

import numpy as np

from cryoarena.particles.doctor.comparison import compare
from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.doctor.held_out import gain_from_halves, held_out
from cryoarena.particles.doctor.hypothesis import Hypothesis
from cryoarena.particles.doctor.row_orders import CHECK, other_orders
from cryoarena.particles.doctor.sampled_images import SampledImages

_STRETCHES = 20


def find_slip(images: SampledImages, hypothesis: Hypothesis) -> Finding | None:
    """Score stretches of the sampled rows, each by the map of all, in the order stated and in those of its neighbours.

    Args:
        images: up to a low radius.
        hypothesis: the best reading of the whole.
    """
    reading = hypothesis.reading()
    whole = held_out(images, reading)
    rows = hypothesis.rows.pose_rows
    for order in other_orders(hypothesis.table, rows):
        other = gain_from_halves(images, hypothesis.with_rows(order).reading(), whole.filtered)
        slipped = []
        for part in np.array_split(np.arange(len(rows)), _STRETCHES):
            found = compare(whole.gain[part], other[part])
            if found.other_is_better:
                slipped.append((part, found))
        if slipped:
            first, last = rows[slipped[0][0][0]] + 1, rows[slipped[-1][0][-1]] + 1
            worst = max(slipped, key=lambda one: one[1].z)[1]
            return Finding(
                CHECK,
                Verdict.WRONG,
                f"images between rows {first} and {last} ({len(slipped)} of {_STRETCHES} stretches) agree with "
                f"{order.name}, the others with their own ({worst}): {order.remedy} there, "
                "and look for the row that is missing or too many",
                {"first_row": float(first), "last_row": float(last), "stretches": float(len(slipped)), "z": worst.z},
            )
    return None
