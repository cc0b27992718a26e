import json
from pathlib import Path

import numpy as np
import pytest

from cryoarena.report.chimerax import chimerax_script
from cryoarena.report.collect import collect
from cryoarena.report.curve_sources import CurveSource
from cryoarena.report.figures.imbalance import imbalance_plane
from cryoarena.report.figures.populations import populations_figure
from cryoarena.report.pooling import Pooled
from cryoarena.report.truth import read_truth
from cryoarena.volumes.mrc import read_volume


def pooled(label: str, value: float) -> Pooled:
    return Pooled(label, 1, value, 0.02, float("nan"), float("nan"), (), 1, "ok", "")


def test_imbalance_plane_has_one_point_per_method_that_has_both_values() -> None:
    nan = float("nan")
    figure = imbalance_plane(
        [pooled("a", 0.1), pooled("b", 0.4), pooled("c", nan)], [pooled("b", 0.9), pooled("a", 0.2), pooled("c", 0.3)]
    )
    assert figure is not None
    (axes,) = figure.axes
    points = {line.get_label(): line.get_xydata()[0].tolist() for line in axes.lines if line.get_label() in "abc"}
    assert points == {"a": [0.1, 0.2], "b": [0.4, 0.9]}
    assert imbalance_plane([pooled("a", nan)], [pooled("a", 0.2)]) is None


def test_populations_are_drawn_in_per_cent_over_the_true_ones() -> None:
    curves = {
        "populations/true": {"x": [0, 1, 2], "mean": [0.5, 0.3, 0.2], "spread": []},
        "populations/kmeans_counting": {"x": [0, 1, 2], "mean": [0.6, 0.4, None], "spread": [0.01, 0.02, None]},
    }
    sources = [CurveSource("a", 0, "method", curves), CurveSource("floor", None, "floor", curves)]
    figure = populations_figure(sources)
    assert figure is not None
    (panel,) = figure.axes  # the floor gets none
    np.testing.assert_allclose(panel.patches[0].get_data().values, [50, 30, 20])
    np.testing.assert_allclose(panel.lines[0].get_ydata(), [60, 40, np.nan])
    assert populations_figure(sources, estimator="counting") is None


def test_chimerax_script_opens_maps_that_exist_at_levels_that_enclose_equal_volumes(bench: Path) -> None:
    (group,) = collect(bench).groups
    script = chimerax_script(group, read_truth(group.dataset, []))
    opened = [line for line in script.splitlines() if line.startswith("open ")]
    levels = [float(line.split(" level ")[1].split()[0]) for line in script.splitlines() if line.startswith("volume #")]
    assert len(opened) == len(levels) == 3
    enclosed = []
    for line, level in zip(opened, levels, strict=True):
        files = [bench / name for name in line.split('"')[1::2][:-1]]
        assert len(files) == 6
        assert all(file.is_file() for file in files)
        enclosed.append(int((read_volume(files[0])[0] > level).sum()))
    assert enclosed == pytest.approx([enclosed[0]] * 3, rel=0.02)
    assert script.endswith("vseries slider #1,2,3\n")


def test_chimerax_series_hold_the_same_conformations_and_names_are_no_commands(own_bench: Path) -> None:
    ppca = own_bench / "results/turning-arm/ppca"
    (ppca / "comparison" / "conformation_0002.mrc").unlink()
    info = json.loads((ppca / "result.json").read_text())
    info["method"]["name"] = 'm"\nopen evil.py'
    (ppca / "result.json").write_text(json.dumps(info))
    (group,) = collect(own_bench).groups
    lines = chimerax_script(group, read_truth(group.dataset, [])).splitlines()
    opened = [line.split('"')[1::2][:-1] for line in lines if line.startswith("open ")]
    assert [len(files) for files in opened] == [5, 5, 5]
    numbers = [[int(Path(file).stem[-4:]) for file in files] for files in opened]
    assert numbers == [[0, 1, 3, 4, 5]] * 3
    assert not any(line.startswith("open evil") for line in lines)
