"""Draw the picture of docs/metrics/known-defects.md: python docs/known_defects.py"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import mock_results as mock
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.metrics.base import MetricResult, Score, metrics
from cryoarena.metrics.judge import Answer, judge, judged_rows
from simulated import make_small_dataset

IMAGES = Path(__file__).parent / "images"
CURVE, TEXT = "#1b6ca8", "#444444"
LATENTS = (mock.noisy_latents, "noise on latents (std)", (0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 2, 3))
MAPS = (mock.noisy_maps, "noise on maps (std)", (0, 0.3, 0.6, 1, 1.5, 2, 3))
BLUR = (mock.blurred, "blur of maps (px)", (0, 0.3, 0.6, 0.9, 1.2, 1.6, 2))
POSES = (mock.noisy_poses, "error of poses (°)", (0, 5, 10, 20, 40, 60, 90))
VIEW = (mock.entangled, "direction of view in latents (std)", (0, 0.15, 0.3, 0.6, 1, 2, 3))
# The same answers in every panel, as lines: where a growing defect is as bad as each of them.
REFERENCES = {
    "shuffled": (mock.shuffled, "#b5482a", "-"),
    "consensus, one latent": (mock.consensus, "#7a5ea8", "--"),
    "two states merged": (mock.merged, "#2f8f5b", "-."),
    "other hand": (mock.other_hand, "#d08b00", ":"),
}


@dataclass(frozen=True)
class Panel:
    """One statistic of one metric against one growing defect."""

    metric: str
    statistic: str
    defect: tuple[Callable[[Truth, float], Answer], str, tuple[float, ...]]


PANELS = (
    Panel("class-agreement", "standard/ari", LATENTS),
    Panel("posterior-class-agreement", "standard/ari", LATENTS),
    Panel("cv-regression", "r2/hinge_angle", LATENTS),
    Panel("pmn", "standard/radius_10", LATENTS),
    Panel("trustworthiness", "trustworthiness/radius_1", LATENTS),
    Panel("information-imbalance", "standard/latent_to_truth", LATENTS),
    Panel("populations", "counting/l1", LATENTS),
    Panel("posterior-populations", "posterior_mean/l1", LATENTS),
    Panel("per-image-fsc", "standard/no_mask/auc", MAPS),
    Panel("per-image-fsc", "standard/moving_mask/auc", MAPS),
    Panel("per-conformation-fsc", "standard/moving_mask/auc", MAPS),
    Panel("sample-fsc", "standard/moving_mask/auc", MAPS),
    Panel("map-distance", "standard/moving_mask/l2", MAPS),
    Panel("map-distance", "standard/moving_mask/earth_mover", MAPS),
    Panel("aligned-fsc", "standard/moving_mask/auc", MAPS),
    Panel("entanglement", "standard/pose_to_latent", VIEW),
    Panel("per-image-fsc", "standard/no_mask/auc", BLUR),
    Panel("map-distance", "standard/no_mask/l2", BLUR),
    Panel("pose-error", "standard/rotation_median", POSES),
    Panel("pose-error", "standard/shift_median", POSES),
)


def draw(truth: Truth) -> None:
    """Draw all panels."""
    figure, panels = plt.subplots(5, 4, figsize=(13, 13.5))
    for axes, panel in zip(panels.flat, PANELS, strict=True):
        draw_panel(axes, panel, truth)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=5, frameon=False, fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.97), h_pad=1.6)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=80)
    plt.close(figure)
    # A third of the size; the picture has few colours.
    Image.open(drawn).convert("RGB").quantize(64).save(IMAGES / "known_defects.png", optimize=True)


def draw_panel(axes: Axes, panel: Panel, truth: Truth) -> None:
    """Draw one statistic against the strength of the defect, with its standard error, and the other answers."""
    card = metrics.get(panel.metric).card
    answer, label, strengths = panel.defect
    found = [score(answer(truth, strength), truth, panel) for strength in strengths]
    values, errors = np.array([(each.value, each.standard_error) for each in found]).T
    axes.errorbar(
        strengths, values, errors, color=CURVE, marker="o", markersize=4, linewidth=1.6, label="growing defect"
    )
    for name, (reference, colour, style) in REFERENCES.items():
        axes.axhline(
            score(reference(truth), truth, panel).value, color=colour, linestyle=style, linewidth=1.3, label=name
        )
    direction = found[0].direction or card.direction
    unit = found[0].unit or card.unit
    axes.set_title(f"{panel.metric}\n{panel.statistic}", fontsize=9.5, color=TEXT)
    axes.set_xlabel(label, fontsize=9, color=TEXT)
    axes.set_ylabel(f"{direction} is better" + (f" ({unit})" if unit else ""), fontsize=9, color=TEXT)
    axes.tick_params(labelsize=8, colors=TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    if direction == "lower":
        axes.invert_yaxis()


def score(answer: Answer, truth: Truth, panel: Panel) -> Score:
    """Return the score of an answer in a panel; few maps where each must first be aligned."""
    rows = judged_rows(truth, 2 if panel.metric == "aligned-fsc" else 16)
    result = judge(answer, truth, rows, lambda *_: None, wanted=lambda card: card.name == panel.metric)[panel.metric]
    assert isinstance(result, MetricResult), result
    return result.scores[panel.statistic]


def uneven(truth: Truth) -> Truth:
    """Return the truth of fewer particles, with populations that fall: even ones come out right by accident."""
    states = len(truth.volume_names)
    keep = np.concatenate([np.flatnonzero(truth.conformation == state)[: 30 - 3 * state] for state in range(states)])
    part = truth.subset(keep)
    return replace(part, population=np.bincount(part.conformation) / len(keep))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        draw(uneven(open_truth(make_small_dataset(Path(folder) / "small", 240, 24, snr=1.0))))
