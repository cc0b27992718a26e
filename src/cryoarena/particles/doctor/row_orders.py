"""Orders in which the rows of a table may belong to the images, other than as stated."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.particles.doctor.hypothesis import RowOrder
from cryoarena.particles.particle_set import ParticleSet

CHECK = "row order"


def stated_order(rows: NDArray[np.int64]) -> RowOrder:
    """Return the order of the table itself."""
    return RowOrder("as stated", "", rows, rows)


def other_orders(table: ParticleSet, rows: NDArray[np.int64]) -> list[RowOrder]:
    """Return the orders that slips of a row, sorting and joining files lead to, each other than the stated.

    Args:
        table: N rows.
        rows: (n,) of the sampled images.
    """
    n = len(table)
    every = np.arange(n)
    by_image = np.lexsort((table.slice_index, table.stack_index))
    place = np.empty(n, np.int64)
    place[by_image] = every
    orders = {
        "the row before": (every - 1, "move poses and CTF down by one row"),
        "the row after": (every + 1, "move poses and CTF up by one row"),
        "the image before, by place in the stack": (by_image[(place - 1) % n], "raise every image number by one"),
        "the image after, by place in the stack": (by_image[(place + 1) % n], "lower every image number by one"),
        "the rows from last to first": (n - 1 - every, "reverse the order of poses and CTF"),
        "the rows sorted by image": (
            place,
            "poses and CTF are in the order of the stacks: list them in that of the table",
        ),
        "the rows in the order of the stacks": (by_image, "sort poses and CTF as the images of the stacks"),
        "the other half of the rows": (every + n // 2, "exchange the two halves of the table"),
    }
    found: list[RowOrder] = []
    for name, (source, remedy) in orders.items():
        taken = (source % n)[rows]
        if (taken == rows).mean() > 0.5 or any(np.array_equal(taken, other.pose_rows) for other in found):
            continue
        found.append(RowOrder(f"poses and CTF of {name}", remedy, taken, taken))
        found.append(RowOrder(f"poses alone of {name}", f"{remedy} (the CTF is right)", taken, rows))
    return found
