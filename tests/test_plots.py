"""The notebook figures, drawn from the fabricated bench of the report."""

from pathlib import Path

import numpy as np
import pytest
from report_bench import write_bench

from cryoarena import plots
from cryoarena.errors import UserError
from cryoarena.report.figures.style import svg_for_page, svg_text


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bench(tmp_path_factory.mktemp("bench"))


def test_leaderboard_has_the_best_on_top_and_the_band_between_the_limits(bench: Path) -> None:
    (axes,) = plots.leaderboard(bench).axes
    assert [label.get_text().split()[-1] for label in axes.get_yticklabels()] == ["ppca", "consensus"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # rank 1 above
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((0.21, 0.38))


def test_curves_hold_the_means_in_resolution_units(bench: Path) -> None:
    (axes,) = plots.curves(bench, key="per-image-fsc/standard/mask").axes
    lines = {line.get_label(): line for line in axes.lines}
    assert {"ppca", "consensus", "floor", "ceiling"} <= set(lines)
    assert lines["ppca"].get_xdata().max() == pytest.approx(1 / 8.0, rel=1e-3)  # Nyquist of 4 Å pixels, 1/Å
    assert np.mean(lines["ppca"].get_ydata()) > np.mean(lines["consensus"].get_ydata())


def test_pose_errors_are_bars(bench: Path) -> None:
    (axes,) = plots.curves(bench, key="pose-error/rotation").axes
    bars = {patch.get_label(): patch.get_data() for patch in axes.patches}
    assert set(bars) == {"ppca", "consensus"}
    assert bars["ppca"].edges[[0, -1]].tolist() == [0, 180]
    assert bars["ppca"].values[0] > bars["consensus"].values[0]


def test_confusion_shows_true_states_as_rows(bench: Path) -> None:
    panels = plots.confusion(bench).axes
    image = next(panel for panel in panels if panel.get_title(loc="left") == "ppca").images[0].get_array()
    assert image.shape == (6, 6)
    assert image[2, 3] > image[3, 2]


def test_latents_are_coloured_by_the_cv_of_their_particle(bench: Path) -> None:
    axes = plots.latents(bench, "ppca").axes[0]
    (drawn,) = axes.collections
    turn = np.exp(1j * np.arctan2(*np.asarray(drawn.get_offsets())[:, ::-1].T))
    psi = np.exp(1j * np.deg2rad(np.asarray(drawn.get_array())))
    assert max(abs(np.mean(turn * psi)), abs(np.mean(turn * psi.conj()))) > 0.95


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda bench: plots.information_imbalance(bench), "no statistic 'information-imbalance"),
        (lambda bench: plots.populations(bench), "no result on turning-arm has populations"),
        (lambda bench: plots.curves(bench, key="pnm"), "there is no curve 'pnm' here; there is per-image-fsc"),
        (lambda bench: plots.leaderboard(bench, dataset="other"), "there is no dataset 'other' here"),
        (lambda bench: plots.latents(bench, "pca"), "there is no method 'pca' here; there is ppca"),
    ],
)
def test_what_is_not_there_is_one_sentence(bench: Path, call, told: str) -> None:
    with pytest.raises(UserError, match=told):
        call(bench)


def test_svg_follows_the_theme_on_the_page_and_stays_the_same(bench: Path) -> None:
    figure = plots.leaderboard(bench)
    text = svg_text(figure)
    assert text == svg_text(plots.leaderboard(bench))
    assert "#14202b" in text
    assert "var(--" not in text
    inline = svg_for_page(figure, "a <title>")
    assert "#14202b" not in inline
    assert "var(--ink)" in inline
    assert 'aria-label="a &lt;title&gt;"' in inline
