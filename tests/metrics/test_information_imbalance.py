"""Information imbalance with truth and with pose and CTF."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.metrics.base import NotApplicable, metrics
from cryoarena.metrics.embedding_space import embedding_space
from cryoarena.metrics.entanglement import entanglement
from cryoarena.metrics.imbalance import Imbalance, imbalance
from cryoarena.metrics.imbalance_cryobench import imbalance_cryobench
from cryoarena.metrics.information_imbalance import information_imbalance
from cryoarena.metrics.jitter import jitter

_GOLDEN = Path(__file__).parent / "golden"
_DIRECTIONS = ("latent_to_truth", "truth_to_latent")


def golden_spaces(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays that the golden values were made from; the same lines as in their script."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, images)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return circle, np.hstack([circle, np.zeros((images, 1))]) + rng.normal(scale=0.2, size=(images, 3))


def between(a: np.ndarray, b: np.ndarray, **options: int) -> Imbalance:
    return imbalance(embedding_space(a, "a"), embedding_space(b, "b"), seed=0, **options)


def discrete_circle(states: int = 20, images: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return the angle (N,) in degrees and the circle (N, 2)."""
    angle = np.repeat(np.arange(states) * 360 / states, images)
    return angle, circle_of(angle)


def circle_of(angle: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.radians(angle)), np.sin(np.radians(angle))], axis=1)


def statistics(embedding: np.ndarray, angle: np.ndarray) -> dict[str, float]:
    result = information_imbalance(embedding, circle_of(angle), circle_of(jitter(angle, 0.05, seed=1)))
    return {name: score.value for name, score in result.scores.items()}


@pytest.mark.agreement
@pytest.mark.parametrize("case", ["whole", "subsets", "dropped", "truncated"])
def test_cryobench_variant_reproduces_dadapy(case):
    golden = json.loads((_GOLDEN / "information_imbalance.json").read_text())
    assert golden["versions"]["dadapy"] == "0.3.4"
    expected = golden["values"][case]
    spaces = [embedding_space(points, "points") for points in golden_spaces(expected["images"])]
    found = imbalance_cryobench(*spaces, subset_size=expected["subset_size"], k=tuple(expected["k"]))
    # the far ranks that DADApy draws are replaced by their mean
    tolerance = 2e-3 if case == "truncated" else 1e-12
    for values, peer in ((found.forward, expected["forward"]), (found.backward, expected["backward"])):
        np.testing.assert_allclose(values.mean(axis=0), np.array(peer)[:, 0], rtol=0, atol=tolerance)
        if len(values) > 1:
            error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
            np.testing.assert_allclose(error, np.array(peer)[:, 1], rtol=0, atol=tolerance)


@pytest.mark.agreement
def test_golden_script_uses_the_same_arrays(monkeypatch):
    """The script needs DADApy, of which only the name is stood in for here."""
    import sys
    from types import ModuleType

    stand_in = ModuleType("dadapy.metric_comparisons")
    stand_in.MetricComparisons = None
    monkeypatch.setitem(sys.modules, "dadapy", ModuleType("dadapy"))
    monkeypatch.setitem(sys.modules, "dadapy.metric_comparisons", stand_in)
    spec = importlib.util.spec_from_file_location("make_golden", _GOLDEN / "make_information_imbalance.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for ours, theirs in zip(golden_spaces(50), script.spaces(50), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_both_variants_are_the_definition_where_there_are_no_ties():
    a, b = golden_spaces(300)
    n = len(a)
    ranks = [np.argsort(np.argsort(cdist(points, points), axis=1), axis=1) for points in (a, b)]
    whole = between(a, b)
    cryobench = imbalance_cryobench(
        embedding_space(a, "a"), embedding_space(b, "b"), k=tuple(int(k) for k in np.unique(whole.k))
    )
    for column, k in enumerate(whole.k):
        near = (ranks[0] >= 1) & (ranks[0] <= k)
        literal = 2 / (n**2 * k) * ranks[1][near].sum()
        assert whole.forward[:, column].mean() == pytest.approx(literal, abs=1e-12)
        same = np.unique(whole.k).tolist().index(k)
        assert cryobench.forward[0, same] == pytest.approx(literal, abs=1e-12)


def test_the_standard_variant_of_2000_images_has_the_neighbors_of_cryobench():
    a, b = golden_spaces(2000)
    whole = between(a, b)
    assert whole.k.tolist() == [1, 3, 10, 30]
    cryobench = imbalance_cryobench(embedding_space(a, "a"), embedding_space(b, "b"))
    np.testing.assert_allclose(whole.forward.mean(axis=0), cryobench.forward[0], atol=1e-12)
    np.testing.assert_allclose(whole.backward.mean(axis=0), cryobench.backward[0], atol=1e-12)


def test_ties_count_as_the_mean_over_jitters():
    _, truth = discrete_circle(10, 15)
    rng = np.random.default_rng(2)
    embedding = truth + 0.3 * rng.normal(size=truth.shape)
    exact = between(embedding, truth)
    drawn = [between(embedding, jitter(truth, 1e-4, seed)) for seed in range(30)]
    for direction in ("forward", "backward"):
        means = np.array([getattr(one, direction).mean(axis=0) for one in drawn])
        error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
        assert (np.abs(means.mean(axis=0) - getattr(exact, direction).mean(axis=0)) < 4 * error + 1e-6).all()


def test_equidistant_conformations_tie_in_spite_of_rounding():
    """The truth kept in single precision, as a ceiling's embedding is, has the value of the truth itself."""
    _, truth = discrete_circle(72, 4)
    truth = 57.3 * truth
    exact = between(truth, truth)
    rounded = between(truth.astype(np.float32), truth)
    np.testing.assert_allclose(rounded.forward, exact.forward, atol=1e-12)
    np.testing.assert_allclose(rounded.backward, exact.backward, atol=1e-12)
    # three other images of the conformation, then eight of its two neighbours: none nearer than another
    np.testing.assert_allclose(exact.forward[:, 3], 2 * (3 * 2 + (4 - 3) * (3 + 4.5)) / 4 / 288)
    assert exact.k[3] == 4


def test_same_space_and_independent_spaces_have_the_extreme_values():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1500, 3)), rng.normal(size=(1500, 4))
    same = between(a, a)
    np.testing.assert_allclose(same.forward, np.tile((same.k + 1) / 1500, (1500, 1)), atol=1e-12)
    apart = between(a, b)
    error = apart.forward.std(axis=0, ddof=1) / np.sqrt(1500)
    assert (np.abs(apart.forward.mean(axis=0) - 1) < 4 * error).all()


def test_a_constant_embedding_knows_exactly_nothing():
    angle, truth = discrete_circle()
    result = information_imbalance(np.ones((400, 3)), truth, circle_of(jitter(angle, 0.05, 0)))
    for direction in _DIRECTIONS:
        for end in ("", "/nearest"):
            assert result.scores[f"standard/{direction}{end}"].value == pytest.approx(1, abs=1e-12)
            # hardly any row differs from the first, and the authors drop those that do not
            assert "of 400 images only 1 differ" in result.absent[f"cryobench/{direction}{end}"]
    assert not any(key.startswith("cryobench") for key in result.scores)


def test_entanglement_of_a_constant_embedding_has_standard_values_and_says_why_no_others():
    rng = np.random.default_rng(0)
    result = entanglement(np.ones((100, 2)), rng.normal(size=(100, 9)), rng.normal(size=(100, 4)))
    assert len(result.scores) == len(result.absent) == 8
    assert all(score.value == pytest.approx(1) for score in result.scores.values())
    assert all(key.startswith("cryobench/") for key in result.absent)


def test_a_part_is_contained_in_the_whole_and_not_the_reverse():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(1000, 1))
    more = np.hstack([truth, rng.normal(size=(1000, 1))])
    scores = information_imbalance(more, truth, truth).scores
    assert scores["standard/latent_to_truth"].value < 0.25
    assert scores["standard/truth_to_latent"].value > 0.4
    assert scores["cryobench/latent_to_truth"].value < 0.25
    assert scores["cryobench/truth_to_latent"].value > 0.4


def test_known_defects_are_ordered():
    angle, truth = discrete_circle()
    rng = np.random.default_rng(0)
    noise = rng.normal(size=truth.shape)
    merged = truth.copy()
    merged[(angle > 0) & (angle <= 90)] = truth[0]
    exact = statistics(truth, angle)
    series = [exact] + [statistics(truth + size * noise, angle) for size in (0.1, 0.3, 1.0)]
    series.append(statistics(rng.permutation(truth + 0.1 * noise), angle))
    for direction in _DIRECTIONS:
        values = [one[f"standard/{direction}"] for one in series]
        assert values == sorted(values)
        assert values[0] < 0.06
        assert values[-1] == pytest.approx(1, abs=0.1)
        # the authors' variant has no value for an embedding that repeats itself
        values = [one[f"cryobench/{direction}"] for one in series[1:]]
        assert values == sorted(values)
    assert statistics(merged, angle)["standard/latent_to_truth"] > exact["standard/latent_to_truth"] + 0.02


def test_rotation_scale_shift_and_order_do_not_matter():
    a, b = golden_spaces(500)
    expected = between(a, b)
    turn = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    order = np.random.default_rng(1).permutation(500)
    moved = between(5 * a[order] + 2, b[order] @ turn)
    np.testing.assert_allclose(moved.forward, expected.forward[order], atol=1e-12)
    np.testing.assert_allclose(moved.backward, expected.backward[order], atol=1e-12)


def test_sample_of_queries_estimates_all_with_its_error():
    a, b = golden_spaces(1500)
    every = between(a, b)
    some = between(a, b, max_queries=300)
    assert some.forward.shape == (300, 4)
    error = some.forward.std(axis=0, ddof=1) / np.sqrt(300)
    assert (np.abs(some.forward.mean(axis=0) - every.forward.mean(axis=0)) < 4 * error).all()


def test_standard_error_is_the_scatter_between_datasets():
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(40):
        truth = rng.normal(size=(150, 2))
        embedding = truth + 0.5 * rng.normal(size=truth.shape)
        score = information_imbalance(embedding, truth, truth).scores["standard/latent_to_truth"]
        values.append(score.value)
        errors.append(score.standard_error)
    assert 0.8 < np.mean(errors) / np.std(values, ddof=1) < 1.7


def test_entanglement_is_found_where_it_is():
    rng = np.random.default_rng(0)
    n = 1000
    pose = Rotation.random(n, rng=rng).as_matrix().reshape(n, 9)
    ctf = rng.normal(size=(n, 4))
    latent = rng.normal(size=(n, 2))
    clean = entanglement(latent, pose, ctf).scores
    for name, score in clean.items():
        assert abs(score.value - 1) < (0.1 if name.startswith("cryobench") else 5 * score.standard_error)
    views = entanglement(np.hstack([latent, 3 * pose[:, 6:]]), pose, ctf).scores
    defocus = entanglement(latent + 2 * ctf[:, :2], pose, ctf).scores
    for variant in ("standard", "cryobench"):
        for direction in ("latent_to_pose", "pose_to_latent"):
            assert views[f"{variant}/{direction}"].value < 0.75
            assert abs(defocus[f"{variant}/{direction}"].value - 1) < 0.1
        for direction in ("latent_to_ctf", "ctf_to_latent"):
            assert abs(views[f"{variant}/{direction}"].value - 1) < 0.1
            assert defocus[f"{variant}/{direction}"].value < 0.75


def test_metrics_are_registered_and_give_all_their_statistics():
    angle, truth = discrete_circle()
    rng = np.random.default_rng(0)
    embedding = truth + 0.1 * rng.normal(size=truth.shape)
    entry = metrics.get("information-imbalance")
    inputs = {
        "embedding": embedding.astype(np.float32),
        "true_embedding": truth,
        "true_embedding_jittered": circle_of(jitter(angle, 0.05, 0)),
        "pose_features": rng.normal(size=(400, 9)),
        "ctf_features": rng.normal(size=(400, 4)),
        "seed": 0,
        "device": "cpu",
    }
    result = entry.compute(**{need: inputs[need] for need in entry.card.needs})
    names = [f"{v}/{d}" for v in ("standard", "cryobench") for d in _DIRECTIONS]
    assert set(result.scores) == {*names, *(f"{name}/nearest" for name in names)}
    assert result.scores["standard/latent_to_truth"].n == 400
    curve = result.curves["standard/latent_to_truth"]
    assert curve.mean.mean() == pytest.approx(result.scores["standard/latent_to_truth"].value)
    assert curve.mean[0] == result.scores["standard/latent_to_truth/nearest"].value
    assert curve.spread[0] == result.scores["standard/latent_to_truth/nearest"].standard_error
    entry = metrics.get("entanglement")
    result = entry.compute(**{need: inputs[need] for need in entry.card.needs})
    assert len(result.scores) == 16
    assert all(np.isfinite(score.value) for score in result.scores.values())


def test_refuses_bad_embeddings():
    angle, truth = discrete_circle()
    jittered = circle_of(jitter(angle, 0.05, 0))
    with pytest.raises(UserError, match="399 rows but the truth has 400; match them by particle id"):
        information_imbalance(truth[1:], truth, jittered)
    broken = truth.copy()
    broken[::100, 0] = np.nan
    broken[0, 0] = 0
    with pytest.raises(UserError, match="3 of 400 rows of the embedding hold NaN or infinity, the first is row 100"):
        information_imbalance(broken, truth, jittered)
    with pytest.raises(UserError, match="at least 10 images, not 4"):
        information_imbalance(truth[:4], truth[:4], jittered[:4])


def test_one_true_state_has_no_neighbours_to_tell():
    truth = np.ones((300, 1))
    with pytest.raises(NotApplicable, match="same true coordinates"):
        information_imbalance(np.random.default_rng(0).normal(size=(300, 2)), truth, jitter(truth, 0.1, 0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees():
    angle, truth = discrete_circle()
    embedding = truth + 0.1 * np.random.default_rng(0).normal(size=truth.shape)
    jittered = circle_of(jitter(angle, 0.05, seed=1))
    on_cpu, on_cuda = (
        information_imbalance(embedding, truth, jittered, device=device).scores for device in ("cpu", "cuda")
    )
    for name, score in on_cpu.items():
        assert on_cuda[name].value == pytest.approx(score.value, rel=1e-9), name
