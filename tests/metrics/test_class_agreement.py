"""Agreement of classes with true states: from an embedding and from a posterior."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    f1_score,
    recall_score,
)

from cryoarena.errors import UserError
from cryoarena.metrics.base import NotApplicable, metrics
from cryoarena.metrics.class_agreement import class_agreement
from cryoarena.metrics.contingency import UNMATCHED, agreement, bootstrap_errors, contingency_table, match_classes
from cryoarena.metrics.kmeans_labels import kmeans_labels
from cryoarena.metrics.posterior_class_agreement import posterior_class_agreement

CENTRES = np.random.default_rng(5).normal(size=(6, 3))


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """1,200 images of six states, uneven populations, labels with a gap."""
    return np.random.default_rng(0).choice([0, 1, 2, 3, 4, 7], 1200, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])


def latents(labels: np.ndarray, noise: float, seed: int = 1) -> np.ndarray:
    order = np.unique(labels, return_inverse=True)[1]
    return CENTRES[order] + noise * np.random.default_rng(seed).normal(size=(len(labels), 3))


def confused(labels: np.ndarray, share: float, seed: int = 2) -> np.ndarray:
    """Other names for the states, and `share` of the images in a random class of eight."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(labels)) < share, rng.integers(0, 8, len(labels)), (3 * labels + 1) % 8)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 1.0])
def test_agrees_with_scikit_learn(labels, share):
    found = confused(labels, share)
    table = contingency_table(labels, found)
    result = agreement(table)
    assert result.values["ari"] == pytest.approx(adjusted_rand_score(labels, found), abs=1e-12)
    assert result.values["ami"] == pytest.approx(adjusted_mutual_info_score(labels, found), abs=1e-10)
    states, classes = np.unique(labels), np.unique(found)
    name = dict(zip(classes[match_classes(table)], states, strict=True))
    renamed = np.array([name.get(each, -1) for each in found])
    recall = recall_score(labels, renamed, labels=states, average=None, zero_division=0)
    np.testing.assert_allclose(result.recall, recall)
    assert result.values["balanced_accuracy"] == pytest.approx(recall.mean())
    macro_f1 = f1_score(labels, renamed, labels=states, average="macro", zero_division=0)
    assert result.values["macro_f1"] == pytest.approx(macro_f1)
    assert result.values["accuracy"] == pytest.approx(np.mean(renamed == labels))


def test_matching_is_the_best_of_all_one_to_one_matchings():
    table = np.random.default_rng(0).integers(0, 50, (4, 5))
    best = max(
        sum(table[row, column] for row, column in enumerate(each)) for each in itertools.permutations(range(5), 4)
    )
    assert table[np.arange(4), match_classes(table)].sum() == best


def test_fewer_classes_than_states_leave_states_without_recall():
    labels = np.repeat([0, 1, 2], 100)
    merged = np.repeat([0, 0, 1], 100)
    table = contingency_table(labels, merged)
    result = agreement(table)
    assert sorted(result.recall) == [0, 1, 1]
    assert (match_classes(table) == UNMATCHED).sum() == 1
    assert result.values["balanced_accuracy"] == pytest.approx(2 / 3)
    assert result.values["accuracy"] == pytest.approx(2 / 3)
    assert result.values["ari"] == pytest.approx(adjusted_rand_score(labels, merged))


def test_confusion_rows_say_where_a_state_went():
    labels = np.repeat([0, 1], 100)
    found = np.concatenate([np.repeat([0, 1], [70, 30]), np.repeat([0, 1, 2], [10, 60, 30])])
    np.testing.assert_allclose(agreement(contingency_table(labels, found)).confusion, [[0.7, 0.3], [0.1, 0.6]])


def test_bootstrap_error_is_the_spread_over_new_data(labels):
    """Draw new images of the same process many times: their standard deviation is what the bootstrap must say."""
    rng = np.random.default_rng(0)
    population = rng.choice(6, 100_000, p=np.full(6, 1 / 6))
    found = np.where(rng.random(100_000) < 0.4, rng.integers(0, 6, 100_000), population)
    drawn = []
    for _ in range(300):
        rows = rng.integers(0, 100_000, 800)
        drawn.append(list(agreement(contingency_table(population[rows], found[rows])).values.values()))
    told = bootstrap_errors(contingency_table(population[rows], found[rows]), seed=0)
    np.testing.assert_allclose(list(told.values()), np.std(drawn, axis=0), rtol=0.25)


def test_perfect_embedding_is_perfect(labels):
    for embedding in (latents(labels, 0), latents(labels, 1e-3)):
        scores = class_agreement(embedding, labels, seed=0).scores
        for name in ("ari", "ami", "accuracy", "balanced_accuracy", "macro_f1"):
            assert scores[f"standard/{name}"].value == pytest.approx(1)
            assert scores[f"standard/{name}"].standard_error == pytest.approx(0, abs=1e-12)


def test_random_embedding_scores_chance(labels):
    scores = class_agreement(np.random.default_rng(0).normal(size=(1200, 3)), labels, seed=0).scores
    for key in ("standard/ari", "standard/ami", "cryobench/ari", "cryobench/ami"):
        assert abs(scores[key].value) < 4 * scores[key].standard_error + 0.005


def test_defects_rank_by_their_size(labels):
    shuffled = np.random.default_rng(0).permutation(labels)
    merged = latents(np.where(labels == 1, 0, labels), 0.05)
    answers = [latents(labels, noise) for noise in (0.02, 0.5, 1.0)] + [latents(shuffled, 0.02)]
    scores = [class_agreement(answer, labels, seed=0).scores for answer in answers]
    for name in ("ari", "ami", "balanced_accuracy", "macro_f1"):
        values = [each[f"standard/{name}"].value for each in scores]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[1] + 0.02 > values[2] + 0.04 > values[3] + 0.06
    of_merged = class_agreement(merged, labels, seed=0).scores
    assert of_merged["standard/ari"].value < scores[0]["standard/ari"].value - 0.1


def test_value_does_not_depend_on_frame_scale_names_or_order(labels):
    embedding = latents(labels, 0.05)
    lot = np.random.default_rng(0).permutation(len(labels))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    first = class_agreement(embedding, labels, seed=0).scores["standard/ari"].value
    others = ((1e-6 * embedding + 1e3, labels), (embedding @ turn, labels), (embedding, 9 - labels))
    for changed, named in (*others, (embedding[lot], labels[lot])):
        assert class_agreement(changed, named, seed=0).scores["standard/ari"].value == pytest.approx(first, abs=0.01)


def test_wards_start_finds_states_that_k_means_plus_plus_loses():
    """A hundred well-separated states: the usual start leaves some of them in pairs."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), 40)
    embedding = rng.normal(size=(100, 8))[labels] + 0.2 * rng.normal(size=(4000, 8))
    scores = class_agreement(embedding, labels, seed=0).scores
    assert scores["standard/ari"].value > 0.98 > 0.96 > scores["cryobench/ari"].value
    runs = [adjusted_rand_score(labels, kmeans_labels(embedding, 100, seed, "k-means++")) for seed in range(5)]
    assert scores["cryobench/ari"].value == pytest.approx(np.mean(runs))
    over_images = bootstrap_errors(contingency_table(labels, kmeans_labels(embedding, 100, 0, "k-means++")), seed=0)
    expected = np.hypot(np.std(runs, ddof=1) / np.sqrt(5), over_images["ari"])
    assert scores["cryobench/ari"].standard_error == pytest.approx(expected)


def test_many_rows_are_labelled_from_the_centres_of_a_sample():
    labels = np.tile([0, 1, 2], 50_000)
    found = kmeans_labels(latents(labels, 0.05), 3, seed=0, start="ward")
    assert adjusted_rand_score(labels, found) > 0.999


def test_constant_embedding_scores_zero_because_it_holds_one_class(labels):
    scores = class_agreement(np.ones((1200, 2)), labels, seed=0).scores
    assert scores["standard/ari"].value == pytest.approx(0)
    assert scores["standard/ami"].value == pytest.approx(0)
    assert scores["standard/balanced_accuracy"].value == pytest.approx(1 / 6)


def test_curves_are_per_state(labels):
    curves = class_agreement(latents(labels, 0.3), labels, seed=0).curves
    assert curves["recall"].x.tolist() == [0, 1, 2, 3, 4, 7]
    confusion = curves["confusion"].mean.reshape(6, 6)
    np.testing.assert_allclose(confusion.diagonal(), curves["recall"].mean)
    assert (confusion.sum(1) <= 1 + 1e-12).all()


def test_posterior_is_judged_by_its_most_probable_class(labels):
    states = np.unique(labels, return_inverse=True)[1]
    posterior = np.full((1200, 9), 0.02)  # more classes than states
    posterior[np.arange(1200), 7 - states] = 0.84
    scores = posterior_class_agreement(posterior, labels, seed=0).scores
    assert all(score.value == pytest.approx(1) for score in scores.values())
    posterior[:240] = 1 / 9  # argmax falls on class 0, which is no state's
    worse = posterior_class_agreement(posterior, labels, seed=0).scores
    assert worse["standard/accuracy"].value == pytest.approx(0.8)
    assert 0 < worse["standard/accuracy"].standard_error < 0.02


def test_bad_input_is_one_sentence(labels):
    embedding = latents(labels, 0.1)
    embedding[[30, 80]] = np.nan
    with pytest.raises(UserError, match="2 of 1200 rows of the embedding hold NaN or infinity, the first is row 30"):
        class_agreement(embedding, labels, seed=0)
    with pytest.raises(UserError, match="embedding has 1199 rows but the truth has 1200"):
        class_agreement(embedding[1:], labels, seed=0)
    with pytest.raises(UserError, match="posterior"):
        posterior_class_agreement(np.full((1200, 3), np.nan), labels, seed=0)


@pytest.mark.parametrize("share", [0.8, 1.3, 0.0])
def test_posterior_must_be_probabilities(labels, share):
    posterior = np.eye(8)[labels]
    posterior[7] *= share
    with pytest.raises(UserError, match=f"row 7 of the posterior sums to {share:.3g}, not to 1"):
        posterior_class_agreement(posterior, labels, seed=0)
    posterior[4, 0] = -0.2
    with pytest.raises(UserError, match="row 4 of the posterior has a negative probability"):
        posterior_class_agreement(posterior, labels, seed=0)


def test_one_state_and_a_continuum_have_no_classes(labels):
    with pytest.raises(NotApplicable, match="at least 2 true states"):
        class_agreement(latents(labels, 0.1), np.zeros_like(labels), seed=0)
    with pytest.raises(NotApplicable, match="of 2 or more images each, but 1200 images have 1200"):
        class_agreement(latents(labels, 0.1), np.arange(1200), seed=0)


def test_are_registered():
    assert metrics.get("class-agreement").card.needs == ("embedding", "true_labels", "seed")
    assert metrics.get("posterior-class-agreement").card.needs == ("posterior", "true_labels", "seed")
