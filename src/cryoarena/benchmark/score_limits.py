"""Put the observers behind floor and ceiling into a score table of their own, beside those of methods."""

from pathlib import Path

import pandas as pd

from cryoarena.benchmark.device import require_device
from cryoarena.benchmark.score_rows import row_of, table_of
from cryoarena.datasets.truth import open_truth
from cryoarena.files import atomic_path, read_json
from cryoarena.limits.limits import OBSERVERS, limits_of

REFERENCE_RUN = "limits"


def score_limits(dataset_folder: Path, table_path: Path | None = None, device: str = "cpu") -> pd.DataFrame:
    """Compute the limits of a dataset and write what each observer scores, as if it were a method.

    An oracle is a row to compare with, and no method: it has looked at the truth.

    Args:
        dataset_folder: with its truth.
        table_path: where the table goes; truth/limits/scores.csv of the dataset by default.
        device: of torch.

    Raises:
        UserError: when the folder is no dataset with a truth, or there is no such device.
    """
    require_device(device)
    truth = open_truth(dataset_folder)
    limits = limits_of(truth, device)
    folder = dataset_folder / "truth" / "limits"
    particles = len(truth.particle_id)
    tables = []
    for observer in OBSERVERS:
        path = folder / f"{observer}.json"
        if not path.exists():
            continue
        rows = []
        for key, score in read_json(path)["scores"].items():
            name, _, statistic = key.partition("/")
            if score["value"] is not None:
                rows.append(row_of(name, statistic, score, limits))
        tables.append(table_of(rows, truth.info["name"], observer, REFERENCE_RUN, particles, particles))
    table = pd.concat(tables, ignore_index=True)
    with atomic_path(table_path or folder / "scores.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table
