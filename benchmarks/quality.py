"""Set results beside each other: built-in methods and real programs on identical images, judged by the same metrics.

    cryoarena run class3d igg1d -o results/class3d-1 --set classes=10 --seed 1
    cryoarena run relion-class3d igg1d -o results/relion-1 --set classes=10 --seed 1
    cryoarena score results/class3d-1 --dataset igg1d
    cryoarena score results/relion-1 --dataset igg1d
    python benchmarks/quality.py results/* -o comparison

Runs that differ in their seed alone share a row. Writes scores.csv, table.md and figure.png.
"""

import argparse
from pathlib import Path

import pandas as pd
from quality_figure import draw

from cryoarena.files import read_json

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
HEADINGS = [heading for _, _, heading in COLUMNS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="scored result folders")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()

    scores = pd.concat([scores_of(folder) for folder in arguments.results], ignore_index=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    scores.to_csv(arguments.out / "scores.csv", index=False)
    (arguments.out / "table.md").write_text(markdown(scores))
    draw(scores, arguments.out / "figure.png")
    print((arguments.out / "table.md").read_text())


def scores_of(folder: Path) -> pd.DataFrame:
    """Return the rows of COLUMNS of one result; its method is called by name and the options that were given."""
    info = read_json(folder / "result.json")
    table = pd.read_csv(folder / "scores.csv")
    parts = []
    for name, statistic, heading in COLUMNS:
        of_name = table[(table["metric"] == name) & table["statistic"].fillna("").str.startswith(statistic)]
        # An area has a median beside it, of which the name begins alike.
        parts.append(of_name[~of_name["statistic"].str.endswith("_median")].assign(column=heading))
    options = ", ".join(f"{key}={value}" for key, value in sorted(info["options"]["given"].items()))
    scores = pd.concat(parts)
    if "coverage" not in scores:  # of the time when a result had to have all particles
        scores["coverage"] = 1.0
    return scores.assign(
        method=info["method"]["name"] + (f" ({options})" if options else ""),
        run=folder.resolve().name,
        cpu_s=info.get("cpu_s"),
        peak_gb=info["peak_memory_bytes"] / 1e9 if "peak_memory_bytes" in info else None,
    )


def markdown(scores: pd.DataFrame) -> str:
    """Return one table per dataset: mean over runs, standard deviation over seeds, and (normalised).

    Column `particles` is the share of the dataset that the result has, the least of its runs.
    """
    text = ""
    for dataset, of_dataset in scores.groupby("dataset", sort=False):
        headings = [heading for heading in HEADINGS if heading in set(of_dataset["column"])]
        text += f"## {dataset}\n\n| method | runs | particles | {' | '.join(headings)} | CPU s | peak GB |\n"
        text += "| --- |" + " --- |" * (len(headings) + 4) + "\n"
        for kind in ("floor", "ceiling"):
            of_limit = of_dataset.groupby("column")[kind].first()
            text += (
                f"| *{kind}* | | | " + " | ".join(_number(of_limit.get(heading)) for heading in headings) + " | | |\n"
            )
        for method, of_method in of_dataset.groupby("method", sort=False):
            cells = [_cell(of_method[of_method["column"] == heading]) for heading in headings]
            cells += [_number(of_method["cpu_s"].mean(), 0), _number(of_method["peak_gb"].mean(), 2)]
            covered = f"{100 * of_method['coverage'].min():.3g} %"
            text += f"| {method} | {of_method['run'].nunique()} | {covered} | " + " | ".join(cells) + " |\n"
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


if __name__ == "__main__":
    main()
