"""Judge runs of RELION, RECOVAR, cryoDRGN and CryoArena on identical images by the same metrics.

    python benchmarks/quality.py runs.toml -o comparison

The runs are listed in a file of tables like this; `log`, what `/usr/bin/time -v` printed, gives time and memory:

    [[run]]
    dataset = "igg1d"
    method = "RELION Class3D, its maps"
    program = "relion"
    folder = "relion/seed1"
    seed = 1
    log = "relion/seed1/refine.log"

Which folders each program needs is said in `peer_answers.py`. Writes scores.csv, table.md and figure.png.
"""

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
from peer_answers import answer_of
from quality_figure import draw

from cryoarena.benchmark.score import JUDGED_IMAGES
from cryoarena.benchmark.score_rows import rows_of, table_of
from cryoarena.datasets.truth import open_truth
from cryoarena.limits.limits import limits_of
from cryoarena.metrics.judge import judge, judged_rows
from cryoarena.progress import silent

# (metric, statistic, or its beginning; heading)
COLUMNS = (
    ("per-image-fsc", "standard/moving_mask/auc", "FSC, moving"),
    ("per-image-fsc", "standard/mask/auc", "FSC, mask"),
    ("per-image-fsc", "standard/no_mask/auc", "FSC, box"),
    ("cv-regression", "r2/", "R² of the CV"),
    ("class-agreement", "standard/ari", "ARI, latents"),
    ("posterior-class-agreement", "standard/ari", "ARI, classes"),
    ("pmn", "standard/mean_1_10", "pMN (%)"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="TOML file")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()

    runs = tomllib.loads(arguments.runs.read_text())["run"]
    scores = pd.concat([scores_of(run, arguments.runs.parent) for run in runs], ignore_index=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    scores.to_csv(arguments.out / "scores.csv", index=False)
    (arguments.out / "table.md").write_text(markdown(scores))
    draw(scores, arguments.out / "figure.png")
    print((arguments.out / "table.md").read_text())


def scores_of(run: dict[str, Any], folder: Path) -> pd.DataFrame:
    """Return the rows of COLUMNS of one run, whose paths are relative to `folder`, with its CPU seconds and peak GB."""
    truth = open_truth(folder / run["dataset"])
    maps = folder / run["maps"] if "maps" in run else None
    answer = answer_of(run["program"], folder / run["folder"], maps, truth)
    judged = {name for name, _, _ in COLUMNS}
    results = judge(answer, truth, judged_rows(truth, JUDGED_IMAGES), silent, wanted=lambda card: card.name in judged)
    table = table_of(rows_of(results, limits_of(truth)), truth.info["name"], run["method"], f"seed {run['seed']}")
    cpu_s, peak_gb = _cost(folder / run["log"]) if "log" in run else (None, None)
    parts = []
    for name, statistic, heading in COLUMNS:
        of_name = table[(table["metric"] == name) & table["statistic"].fillna("").str.startswith(statistic)]
        # An area has a median beside it, of which the name begins alike.
        parts.append(of_name[~of_name["statistic"].str.endswith("_median")].assign(column=heading))
    return pd.concat(parts).assign(cpu_s=cpu_s, peak_gb=peak_gb)


def markdown(scores: pd.DataFrame) -> str:
    """Return one table per dataset: mean over runs, standard deviation over seeds, and (normalised)."""
    text = ""
    for dataset, of_dataset in scores.groupby("dataset", sort=False):
        headings = [heading for _, _, heading in COLUMNS if heading in set(of_dataset["column"])]
        text += f"## {dataset}\n\n| method | runs | {' | '.join(headings)} | CPU s | peak GB |\n"
        text += "| --- | --- |" + " --- |" * (len(headings) + 2) + "\n"
        for kind in ("floor", "ceiling"):
            of_limit = of_dataset.groupby("column")[kind].first()
            text += f"| *{kind}* | | " + " | ".join(_number(of_limit.get(heading)) for heading in headings) + " | | |\n"
        for method, of_method in of_dataset.groupby("method", sort=False):
            cells = [_cell(of_method[of_method["column"] == heading]) for heading in headings]
            cells += [_number(of_method["cpu_s"].mean(), 0), _number(of_method["peak_gb"].mean(), 2)]
            text += f"| {method} | {of_method['run'].nunique()} | " + " | ".join(cells) + " |\n"
        text += "\n"
    return text


def _cell(of_column: pd.DataFrame) -> str:
    values = of_column["value"].dropna()
    if values.empty:
        return ""
    spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
    normalised = of_column["normalised"].dropna()
    return f"{_number(values.mean())}{spread}" + (f" ({normalised.mean():.2f})" if len(normalised) else "")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.{digits}f}"


def _cost(log: Path) -> tuple[float, float]:
    """Return the CPU seconds and the peak memory in GB that `/usr/bin/time -v` measured."""
    text = log.read_text(errors="replace")
    seconds = [float(re.findall(rf"{kind} time \(seconds\): ([\d.]+)", text)[-1]) for kind in ("User", "System")]
    return sum(seconds), int(re.findall(r"Maximum resident set size \(kbytes\): (\d+)", text)[-1]) / 1e6


if __name__ == "__main__":
    main()
