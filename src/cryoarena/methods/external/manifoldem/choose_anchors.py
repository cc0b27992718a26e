"""Run by ManifoldEM's own Python: choose what its users choose by eye in its window before the stage find-ccs.

Nothing of cryoarena is imported. In every connected part of the graph of projection directions, the direction with the
most images becomes an anchor: its first eigenfunction is the conformational coordinate, in forward sense.
"""

import sys

import numpy as np
from ManifoldEM.data_store import Anchor, Sense, data_store
from ManifoldEM.params import params


def main() -> None:
    """Read a project and write its anchors."""
    params.load(sys.argv[1])
    directions = data_store.get_prds()
    images = np.array([len(indices) for indices in directions.thresholded_image_indices])
    parts = directions.neighbor_graph["NodesConnComp"]
    # The stage counts eigenfunctions from 0, but from 1 where every direction is an anchor.
    first = 1 if len(parts) == len(images) else 0
    directions.anchors = {}
    for part in parts:
        directions.insert_anchor(int(part[np.argmax(images[part])]), Anchor(CC=first, sense=Sense.FWD))
    directions.save()
    print(f"{len(images)} projection directions in {len(parts)} connected parts, {images.sum()} images")


if __name__ == "__main__":
    main()
