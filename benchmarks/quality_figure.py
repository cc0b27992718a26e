"""Draw the scores of `quality.py`: a dot per run, hollow where it lacks particles, and a band from floor to ceiling."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cryoarena.report.colours import METHOD_COLOURS_LIGHT

SHOWN = ("FSC, moving", "FSC, mask", "R² of the CV", "ARI, latents", "pMN (%)")


def draw(scores: pd.DataFrame, path: Path) -> None:
    """Draw one row of panels per dataset and one panel per score."""
    datasets = list(scores["dataset"].unique())
    # Options follow the name in brackets; one program has one colour.
    programs = list(scores["method"].str.partition(" (")[0].unique())
    colour_of = dict(zip(programs, METHOD_COLOURS_LIGHT * 3, strict=False))
    methods_of = {name: list(of["method"].unique()) for name, of in scores.groupby("dataset", sort=False)}
    heights = [1.0 + 0.26 * len(methods_of[name]) for name in datasets]
    figure, panels = plt.subplots(
        len(datasets),
        len(SHOWN),
        figsize=(2.9 * len(SHOWN), sum(heights)),
        height_ratios=heights,
        squeeze=False,
        sharey="row",
    )
    for of_dataset, name in zip(panels, datasets, strict=True):
        for panel, column in zip(of_dataset, SHOWN, strict=True):
            here = scores[(scores["dataset"] == name) & (scores["column"] == column)]
            _panel(panel, here, methods_of[name], colour_of)
            panel.set_title(f"{name}: {column}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(panel: plt.Axes, scores: pd.DataFrame, methods: list[str], colour_of: dict[str, str]) -> None:
    floor, ceiling = scores["floor"].dropna(), scores["ceiling"].dropna()
    if len(floor) and len(ceiling):
        panel.axvspan(floor.iloc[0], ceiling.iloc[0], color="#e8eef3", zorder=0)
    for _, row in scores.iterrows():
        if np.isfinite(row["value"]):
            style = "none" if row["coverage"] < 1 else "full"
            where, colour = methods.index(row["method"]), colour_of[row["method"].partition(" (")[0]]
            panel.plot(row["value"], where, "o", color=colour, alpha=0.8, fillstyle=style)
    panel.set_yticks(range(len(methods)), methods, fontsize=8)
    panel.set_ylim(len(methods) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
