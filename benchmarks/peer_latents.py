"""Write the latents at which RECOVAR or cryoDRGN is to make the maps that `quality.py` judges.

    python benchmarks/peer_latents.py igg1d cryodrgn vae/z.20.pkl -o vae-maps/latents.txt
    python benchmarks/peer_latents.py igg1d recovar recovar/model/zdim_4 --centres 20 -o recovar-maps/latents.txt

Without `--centres` they are the latents of the images whose maps are judged; with it, k-means centres of all latents
(for a program to which a map costs minutes). The truth chooses which images are judged, and nothing else.
"""

import argparse
from pathlib import Path

import numpy as np
from peer_answers import latents_of, rows_of_truth
from sklearn.cluster import KMeans

from cryoarena.benchmark.score import JUDGED_IMAGES
from cryoarena.datasets.truth import open_truth
from cryoarena.metrics.judge import judged_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("program", choices=("recovar", "cryodrgn"))
    parser.add_argument("latents", type=Path)
    parser.add_argument("--centres", type=int, help="make maps at this many centres")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()

    truth = open_truth(arguments.dataset)
    latents = latents_of(arguments.program, arguments.latents)[rows_of_truth(truth)]
    if arguments.centres:
        chosen = KMeans(arguments.centres, n_init=10, random_state=0).fit(latents).cluster_centers_
    else:
        chosen = latents[judged_rows(truth, JUDGED_IMAGES)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(arguments.out, chosen)


if __name__ == "__main__":
    main()
