"""Every metric puts answers with known defects (`mock_results`) in the known order, each in its own direction."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

import mock_results as mock
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.metrics.base import MetricResult, Score, metrics
from cryoarena.metrics.judge import Answer, NoResult, judge, judged_rows
from cryoarena.metrics.neighborhood_similarity import chance_level
from cryoarena.volumes.fsc import correlate, fsc_auc
from simulated import make_small_dataset

IMAGES, STATES, JUDGED = 240, 8, 16
MASKS = ("no_mask", "mask", "moving_mask")
Statistic = tuple[str, str]
Results = dict[str, MetricResult | NoResult]

# Statistics of latents and posteriors, with their value where the answer says nothing about the particle.
CHANCE: dict[Statistic, float] = {
    ("class-agreement", "standard/ari"): 0,
    ("class-agreement", "standard/ami"): 0,
    ("posterior-class-agreement", "standard/ari"): 0,
    ("posterior-class-agreement", "standard/ami"): 0,
    ("cv-regression", "r2/hinge_angle"): 0,
    ("information-imbalance", "standard/latent_to_truth"): 1,
    ("information-imbalance", "standard/truth_to_latent"): 1,
    ("pmn", "standard/radius_10"): chance_level(IMAGES // 10, IMAGES),
    ("trustworthiness", "trustworthiness/radius_1"): 0.5,
    ("trustworthiness", "continuity/radius_1"): 0.5,
}
ACCURACIES = [
    (name, f"standard/{statistic}")
    for name in ("class-agreement", "posterior-class-agreement")
    for statistic in ("accuracy", "balanced_accuracy", "macro_f1")
]
OF_PARTICLES: list[Statistic] = [*CHANCE, *ACCURACIES]
# Sample FSC looks for the best truth of every map: it does not see which particle a map is given for.
FSC_OF_PARTICLES = [
    (name, f"standard/{mask}/auc") for name, mask in product(("per-image-fsc", "per-conformation-fsc"), MASKS)
]
FSC = [*FSC_OF_PARTICLES, *(("sample-fsc", f"standard/{mask}/auc") for mask in MASKS)]
DISTANCES = [
    ("map-distance", f"standard/{mask}/{kind}")
    for mask, kind in product(MASKS, ("l2", "correlation", "fsc_distance", "earth_mover", "local_correlation"))
]
POPULATIONS = [
    (name, f"{estimator}/{distance}")
    for name, estimators in (
        ("populations", ("counting", "posterior_mean")),
        ("posterior-populations", ("counting", "posterior_mean")),
    )
    for estimator, distance in product(estimators, ("l1", "kl", "emd"))
]
OWN_FRAME = ("aligned-fsc", "pose-error")
POSES = [("pose-error", f"standard/{of}_{how}") for of, how in product(("rotation", "shift"), ("mean", "median"))]


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> Truth:
    return open_truth(make_small_dataset(tmp_path_factory.mktemp("dataset") / "small", IMAGES, 24, snr=1.0))


def judged(answer: Answer, truth: Truth, *names: str, rows: int = JUDGED) -> Results:
    """Judge an answer by the metrics named, or by all but the aligned FSC (a second per map).

    Maps are judged as they lie, as if the poses had been given.
    """
    wanted = names or tuple(set(metrics.all()) - {"aligned-fsc"})
    results: Results = {}
    for own_frame in (False, True):
        results |= judge(
            answer if own_frame else replace(answer, estimated_poses=None),
            truth,
            judged_rows(truth, rows),
            lambda *_: None,
            wanted=lambda card, own=own_frame: card.name in wanted and (card.name in OWN_FRAME) == own,
        )
    return results


@pytest.fixture(scope="module")
def single(truth) -> dict[str, Results]:
    """Results of the defects that do not grow, by all metrics."""
    answers = (mock.perfect, mock.shuffled, mock.merged, mock.consensus, mock.constant_latent, mock.other_hand)
    return {answer.__name__: judged(answer(truth), truth) for answer in answers}


@pytest.fixture(scope="module")
def noisy_latents(truth) -> list[Results]:
    return [judged(mock.noisy_latents(truth, strength), truth) for strength in (0, 0.2, 0.8, 3)]


@pytest.fixture(scope="module")
def noisy_maps(truth) -> list[Results]:
    names = {name for name, _ in (*FSC, *DISTANCES)}
    return [judged(mock.noisy_maps(truth, strength), truth, *names) for strength in (0, 0.3, 1, 3)]


def score(results: Results, statistic: Statistic) -> Score:
    name, key = statistic
    result = results[name]
    assert isinstance(result, MetricResult), f"{name}: {result}"
    return result.scores[key]


def goodness(results: Results, statistic: Statistic) -> float:
    """Return a score, negative where lower is better."""
    found = score(results, statistic)
    return found.value if (found.direction or metrics.get(statistic[0]).card.direction) == "higher" else -found.value


def assert_never_better(results: Sequence[Results], statistic: Statistic, slack: float = 1e-9) -> None:
    values = [goodness(each, statistic) for each in results]
    assert all(later <= earlier + slack for earlier, later in pairwise(values)), (statistic, values)
    assert values[-1] < values[0] - slack, (statistic, values)


def test_every_metric_is_put_to_the_test() -> None:
    tested = {name for name, _ in (*OF_PARTICLES, *FSC, *DISTANCES, *POPULATIONS, *POSES)}
    ours = {name for name, metric in metrics.all().items() if metric.compute.__module__.startswith("cryoarena.")}
    # These images are not denoised by anyone and have no energy; the tests of those metrics put them in order.
    assert ours - tested == {"image-quality", "energy-landscape", "entanglement", "aligned-fsc"}


def test_no_defect_beats_the_truth(single, noisy_latents, noisy_maps) -> None:
    for results in (*single.values(), *noisy_latents, *noisy_maps):
        for name, result in single["perfect"].items():
            if name == "entanglement" or name not in results or isinstance(result, NoResult):
                continue
            for key in result.scores:
                if not key.startswith("cryobench/"):
                    best, found = (goodness(each, (name, key)) for each in (single["perfect"], results))
                    assert found <= best + 1e-6, (name, key, found, best)


def test_values_lie_in_the_range_that_the_card_states(single, noisy_latents, noisy_maps) -> None:
    for results in (*single.values(), *noisy_latents, *noisy_maps):
        for name, result in results.items():
            card = metrics.get(name).card
            for key, found in ({} if isinstance(result, NoResult) else result.scores).items():
                if found.unit in (None, card.unit):
                    assert card.range[0] - 1e-9 <= found.value <= card.range[1] + 1e-9, (name, key, found.value)


@pytest.mark.parametrize("statistic", OF_PARTICLES, ids="/".join)
def test_growing_noise_on_latents_is_seen(noisy_latents, statistic) -> None:
    assert_never_better(noisy_latents, statistic)


@pytest.mark.parametrize("statistic", [*FSC, *DISTANCES], ids="/".join)
def test_growing_noise_on_maps_is_seen(noisy_maps, statistic) -> None:
    assert_never_better(noisy_maps, statistic)


@pytest.mark.parametrize("statistic", CHANCE, ids="/".join)
@pytest.mark.parametrize("defect", ["shuffled", "constant_latent", "consensus"])
def test_an_answer_that_ignores_the_image_is_at_chance(single, defect, statistic) -> None:
    perfect = score(single["perfect"], statistic).value
    away = abs(score(single[defect], statistic).value - CHANCE[statistic])
    assert away < 0.06 * abs(perfect - CHANCE[statistic])


@pytest.mark.parametrize("statistic", FSC_OF_PARTICLES, ids="/".join)
def test_maps_of_random_other_particles_are_at_chance(single, truth, statistic) -> None:
    mask = truth.masks()[statistic[1].split("/")[1]]
    maps = [truth.volume(conformation) for conformation in range(STATES)]
    of_pairs = [fsc_auc(*correlate(one, other, mask).standard()) for one, other in product(maps, maps)]
    found = score(single["shuffled"], statistic)
    assert abs(found.value - np.mean(of_pairs)) < 4 * found.standard_error


@pytest.mark.parametrize("statistic", [*OF_PARTICLES, *FSC_OF_PARTICLES, *DISTANCES], ids="/".join)
def test_two_states_merged_lie_between_truth_and_chance(single, statistic) -> None:
    assert_never_better([single[name] for name in ("perfect", "merged", "shuffled")], statistic)


@pytest.mark.parametrize("mask", MASKS)
def test_sample_fsc_sees_merged_states_and_consensus_but_not_shuffling(single, mask) -> None:
    statistic = ("sample-fsc", f"standard/{mask}/auc")
    assert_never_better([single[name] for name in ("perfect", "merged", "consensus")], statistic)
    assert goodness(single["shuffled"], statistic) == pytest.approx(goodness(single["perfect"], statistic), abs=1e-6)


@pytest.mark.parametrize("statistic", FSC_OF_PARTICLES, ids="/".join)
def test_the_consensus_map_is_better_than_a_random_one_and_worse_than_the_true_one(single, statistic) -> None:
    assert_never_better([single[name] for name in ("perfect", "consensus", "shuffled")], statistic)


@pytest.mark.parametrize("statistic", [*FSC, *DISTANCES], ids="/".join)
def test_the_other_hand_is_the_worst_of_all_maps(single, statistic) -> None:
    others = [goodness(results, statistic) for name, results in single.items() if name != "other_hand"]
    assert goodness(single["other_hand"], statistic) < min(others)


def test_aligned_fsc_forgives_the_hand_but_neither_noise_nor_the_wrong_state(truth) -> None:
    answers = [mock.perfect(truth), mock.other_hand(truth), mock.noisy_maps(truth, 3), mock.shuffled(truth)]
    results = [judged(answer, truth, "aligned-fsc", rows=2) for answer in answers]
    perfect, hand, noisy, shuffled = [goodness(each, ("aligned-fsc", "standard/moving_mask/auc")) for each in results]
    assert hand > 0.95 * perfect
    assert max(noisy, shuffled) < 0.95 * perfect


def test_aligned_fsc_is_only_for_answers_with_their_own_poses(truth) -> None:
    answer = replace(mock.perfect(truth), estimated_poses=None)
    results = judged(answer, truth, "aligned-fsc", "pose-error")
    assert [result.status for result in results.values()] == ["not_applicable", "not_applicable"]
    assert {result.reason for result in results.values()} == {"the method was given the poses and estimated none"}


def test_every_value_of_a_constant_latent_is_there_or_has_a_reason(single) -> None:
    for name, result in single["constant_latent"].items():
        if isinstance(result, NoResult):
            assert name in ("image-quality", "energy-landscape")
            assert result.status == "not_applicable"
            continue
        assert all(np.isfinite(found.value) for found in result.scores.values()), name
        assert set(result.scores) | set(result.absent) >= set(single["perfect"][name].scores), name


def test_what_a_strangers_metric_or_method_raises_costs_one_score_only(truth) -> None:
    def maps_of(rows: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of luck")

    results = judged(replace(mock.perfect(truth), maps_of=maps_of), truth, "per-image-fsc", "pmn")
    assert results["per-image-fsc"] == NoResult("failed", "RuntimeError: out of luck")
    assert isinstance(results["pmn"], MetricResult)


def test_progress_names_the_metric_and_never_goes_back(truth) -> None:
    told: list[tuple[float, float, str]] = []
    names = ("per-image-fsc", "per-conformation-fsc", "sample-fsc", "cv-regression")
    judge(
        replace(mock.perfect(truth), estimated_poses=None),
        truth,
        judged_rows(truth, JUDGED),
        lambda done, total, note="": told.append((done, total, note)),
        wanted=lambda card: card.name in names,
    )
    done = [each[0] for each in told]
    assert done == sorted(done)
    assert {total for _, total, _ in told} == {len(names)}
    assert told[-1][:2] == (len(names), len(names))
    assert {note for _, _, note in told} >= {*names, "per-image-fsc: 8 of 16 maps compared"}


def test_fsc_without_a_mask_is_blind_to_blur_and_map_distances_are_not(truth) -> None:
    """A radial filter scales each shell of the spectrum; FSC compares shells up to scale, unless a mask mixes them.

    What remains is the slope of the filter within a shell.
    """
    results = [
        judged(mock.blurred(truth, strength), truth, "per-image-fsc", "map-distance") for strength in (0, 0.3, 0.6, 1.2)
    ]
    blind = [score(each, ("per-image-fsc", "standard/no_mask/auc")).value for each in results]
    assert max(blind) - min(blind) < 0.02 * max(blind)
    for mask, kind in product(MASKS, ("l2", "correlation", "local_correlation")):
        assert_never_better(results, ("map-distance", f"standard/{mask}/{kind}"))
    for mask in ("mask", "moving_mask"):
        assert_never_better(results, ("map-distance", f"standard/{mask}/earth_mover"))
        assert_never_better(results, ("per-image-fsc", f"standard/{mask}/auc"), slack=1e-3)


def test_nan_for_one_in_a_hundred_fails_with_a_reason_and_no_number(truth) -> None:
    for name, result in judged(mock.nan_latents(truth), truth).items():
        if name not in ("pose-error", "image-quality", "energy-landscape"):
            assert_failed_for_nan(name, result)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(
            {name for name, metric in metrics.all().items() if "embedding" in metric.card.needs} - {"energy-landscape"}
        ),
        "sample-fsc",
        "per-conformation-fsc",
    ],
)
def test_nan_in_latents_whose_own_maps_are_not_compared_fails_too(truth, name) -> None:
    assert_failed_for_nan(name, judged(mock.nan_latents(truth, first=7), truth, name)[name])


def assert_failed_for_nan(name: str, result: MetricResult | NoResult) -> None:
    assert isinstance(result, NoResult), name
    assert result.status == "failed", name
    assert "NaN" in result.reason, name


@pytest.fixture(scope="module")
def uneven(truth) -> Truth:
    """Return the truth of fewer particles, the populations falling from 30 to 9."""
    keep = [np.flatnonzero(truth.conformation == state)[: 30 - 3 * state] for state in range(STATES)]
    part = truth.subset(np.concatenate(keep))
    return replace(part, population=np.bincount(part.conformation, minlength=STATES) / len(part.conformation))


@pytest.mark.parametrize("statistic", POPULATIONS, ids="/".join)
def test_populations_are_those_of_the_truth_and_lost_in_noise(uneven, statistic) -> None:
    results = [judged(mock.noisy_latents(uneven, strength), uneven, statistic[0]) for strength in (0, 0.5, 4)]
    # The KL divergence is of smoothed shares.
    assert goodness(results[0], statistic) == pytest.approx(0, abs=1e-4)
    assert_never_better(results, statistic)


@pytest.mark.parametrize("statistic", POPULATIONS, ids="/".join)
def test_populations_are_the_worse_the_more_states_are_merged(uneven, statistic) -> None:
    answers = [mock.perfect(uneven), *(mock.merged(uneven, states) for states in (2, 4, STATES))]
    assert_never_better([judged(answer, uneven, statistic[0]) for answer in answers], statistic)


def test_even_populations_come_out_right_by_accident(single) -> None:
    """They tell nothing about particles: datasets that judge populations need uneven ones."""
    for defect in ("shuffled", "consensus"):
        for statistic in POPULATIONS:
            if statistic[0] == "posterior-populations":
                assert goodness(single[defect], statistic) == pytest.approx(0, abs=1e-6)


def test_growing_error_of_poses_is_seen(truth) -> None:
    results = [judged(mock.noisy_poses(truth, strength), truth, "pose-error") for strength in (0, 1, 5, 25)]
    for statistic in POSES:
        assert_never_better(results, statistic)
    results = [judged(mock.noisy_poses(truth, strength), truth, "pose-error") for strength in (1, 5)]
    for strength, result in zip((1, 5), results, strict=True):
        # Median of |normal|.
        expected = 0.6745 * strength
        assert score(result, ("pose-error", "standard/rotation_median")).value == pytest.approx(expected, rel=0.15)


def test_the_other_hand_of_poses_is_found_and_is_no_error(single) -> None:
    assert score(single["other_hand"], ("pose-error", "standard/mirrored")).value == 1
    assert score(single["perfect"], ("pose-error", "standard/mirrored")).value == 0
    assert score(single["other_hand"], ("pose-error", "standard/rotation_mean")).value < 1e-4


def test_poses_of_other_particles_are_far_off(single) -> None:
    assert score(single["shuffled"], ("pose-error", "standard/rotation_mean")).value > 90


def test_entanglement_with_the_direction_of_view_is_seen(truth) -> None:
    results = [judged(mock.entangled(truth, strength), truth, "entanglement") for strength in (0, 0.3, 1, 3)]
    of_pose = [score(each, ("entanglement", "standard/latent_to_pose")).value for each in results]
    # Particles of one conformation have equal latents: the least trace of the view puts them in its order.
    assert of_pose[0] == pytest.approx(1, abs=0.05)
    assert max(of_pose[1:]) < 0.7
    assert_never_better(results, ("entanglement", "standard/pose_to_latent"))
    of_ctf = [score(each, ("entanglement", "standard/latent_to_ctf")).value for each in results]
    assert np.ptp(of_ctf) < 0.15
