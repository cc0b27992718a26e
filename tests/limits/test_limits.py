"""Floor and ceiling of a small dataset: where each comes from, that they make sense, and how they are kept."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.files import read_json, write_json
from cryoarena.limits.known_components import true_coordinates
from cryoarena.limits.known_label import KnownLabels
from cryoarena.limits.limits import limits_of
from cryoarena.limits.observers import Observers
from cryoarena.methods.backprojection import reconstruct
from cryoarena.methods.half_sets import accumulate_halves, random_halves
from cryoarena.metrics.base import metrics
from cryoarena.metrics.judge import judged_rows
from cryoarena.metrics.neighborhood_similarity import neighborhood_similarity
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.volumes.fsc import fsc, fsc_auc
from cryoarena.volumes.slicing import as_volume
from simulated import make_small_dataset

Limits = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Limits]:
    truth = open_truth(make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=240, box_px=24, snr=0.01))
    return truth, limits_of(truth)


def value(limits: Limits, limit: str, key: str) -> float:
    return float(limits[limit]["scores"][key]["value"])


def test_every_score_names_the_observer_it_comes_from(computed: tuple[Truth, Limits]) -> None:
    _, limits = computed
    floor, ceiling = ({key: score["source"] for key, score in limits[name]["scores"].items()} for name in limits)
    for key in ("per-image-fsc/standard/moving_mask/auc", "per-conformation-fsc/standard/mask/auc"):
        assert floor[key] == "consensus"
        assert ceiling[key] == "rigid-motion"
    for key in ("pmn/standard/mean_1_10", "posterior-class-agreement/standard/accuracy"):
        assert floor[key] == "one-for-all"
        assert ceiling[key] == "bayes"
    # One latent for all gives no poses.
    assert floor["pose-error/standard/rotation_mean"] == "chance"
    assert "rigid bodies" in limits["ceiling"]["description"]
    assert "known-label" in limits["ceiling"]["description"]


@pytest.mark.parametrize(
    "key",
    [
        "per-image-fsc/standard/mask/auc",
        "per-image-fsc/standard/moving_mask/auc",
        "per-conformation-fsc/standard/moving_mask/auc",
        "pmn/standard/radius_10",
        "cv-regression/r2/hinge_angle",
        "class-agreement/standard/ari",
        "class-agreement/standard/accuracy",
        "posterior-class-agreement/standard/ami",
    ],
)
def test_the_ceiling_is_above_the_floor(computed: tuple[Truth, Limits], key: str) -> None:
    _, limits = computed
    assert value(limits, "ceiling", key) > value(limits, "floor", key) + 0.03


def test_the_floor_is_what_chance_gives(computed: tuple[Truth, Limits]) -> None:
    truth, limits = computed
    assert value(limits, "floor", "posterior-class-agreement/standard/accuracy") == pytest.approx(1 / 8, abs=0.03)
    assert value(limits, "floor", "class-agreement/standard/ari") == pytest.approx(0.0, abs=0.01)
    assert value(limits, "floor", "cv-regression/r2/hinge_angle") == pytest.approx(0.0, abs=0.05)
    # One latent for all, ties by lot, is as good as latents drawn at random.
    chance = Observers(truth, "cpu").chance()
    true_embedding = chance.truth.embedding()[chance.truth.conformation]
    drawn = neighborhood_similarity(chance.answer.embedding, true_embedding, true_embedding).scores
    for statistic in ("standard/radius_5", "standard/radius_10", "standard/mean_1_10"):
        floor = limits["floor"]["scores"][f"pmn/{statistic}"]
        assert abs(floor["value"] - drawn[statistic].value) < 4 * drawn[statistic].standard_error


def test_one_class_for_all_is_no_floor_where_it_happens_to_be_right(computed: tuple[Truth, Limits]) -> None:
    _, limits = computed
    # The true populations are equal, which is what one latent for all says of the populations.
    key = "populations/counting/l1"
    assert limits["floor"]["scores"][key]["source"] == "chance"
    assert limits["floor"]["scores"]["posterior-populations/counting/l1"]["source"] == "one-for-all"
    for name in (key, "posterior-populations/counting/l1", "pose-error/standard/rotation_mean"):
        assert value(limits, "floor", name) > value(limits, "ceiling", name), "lower is better"


def test_it_is_kept_and_what_is_missing_is_made_again(computed: tuple[Truth, Limits]) -> None:
    truth, limits = computed
    folder = truth.folder / "truth" / "limits"
    kept = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    assert {"floor.json", "ceiling.json", "bayes.json", "rigid_body_0001.mrc"} <= {path.name for path in kept}
    assert limits_of(truth) == limits
    for lost in ("floor.json", "bayes.json", "log_likelihood.npy", "consensus_map.mrc", "consensus.json"):
        (folder / lost).unlink()
    assert limits_of(truth) == limits
    assert read_json(folder / "floor.json") == limits["floor"]
    for path, content in kept.items():
        if path.suffix == ".json" or path.suffix == ".npy":
            assert path.read_bytes() == content, path.name


def test_a_changed_metric_is_judged_again(computed: tuple[Truth, Limits]) -> None:
    truth, limits = computed
    path = truth.folder / "truth" / "limits" / "chance.json"
    old = read_json(path)
    assert old["metrics"]["pmn"] == metrics.get("pmn").card.version
    old["metrics"]["pmn"] = 0
    old["scores"]["pmn/standard/mean_1_10"]["value"] = 99.0
    write_json(path, old)
    assert limits_of(truth) == limits
    assert read_json(path)["scores"]["pmn/standard/mean_1_10"]["value"] < 20


def test_maps_of_another_version_are_made_again(computed: tuple[Truth, Limits]) -> None:
    truth, limits = computed
    folder = truth.folder / "truth" / "limits"
    old = read_json(folder / "known-label.json")
    old["metrics"]["format"] -= 1
    write_json(folder / "known-label.json", old)
    for path in folder.glob("known_label_*.mrc"):
        shutil.copyfile(folder / "rigid_body_0000.mrc", path)
    assert limits_of(truth) == limits


def test_without_a_known_motion_labels_or_components_are_the_ceiling(tmp_path: Path) -> None:
    folder = make_small_dataset(tmp_path / "d", images=100, box_px=16, snr=0.1)
    (folder / "truth" / "bodies.parquet").unlink()
    truth = open_truth(folder)
    assert truth.rigid_motion is None
    limits = limits_of(truth)
    sources = {score["source"] for score in limits["ceiling"]["scores"].values()}
    assert "rigid-motion" not in sources
    assert {"known-label", "known-components"} & sources
    assert "rigid" not in limits["ceiling"]["description"]


def test_maps_in_a_frame_of_their_own_have_limits_too(computed: tuple[Truth, Limits]) -> None:
    _, limits = computed
    key = "aligned-fsc/standard/moving_mask/auc"
    # The consensus may be nearer to a truth once it is turned, but not nearer than the oracle.
    assert limits["floor"]["scores"][key]["source"] == "turned-consensus"
    consensus = value(limits, "floor", "per-image-fsc/standard/moving_mask/auc")
    assert consensus - 0.01 < value(limits, "floor", key) < value(limits, "ceiling", key)


def test_oracles_share_what_the_states_share(tmp_path: Path) -> None:
    """With few images per state, maps that learn from all images beat maps of the images of one state alone."""
    truth = open_truth(make_small_dataset(tmp_path / "d", images=240, box_px=24, snr=0.005))
    particles, mask = open_particles(truth.folder), truth.masks()["mask"]
    observers = Observers(truth, "cpu")
    assert true_coordinates(truth).shape == (8, 7)
    rows = np.unique(truth.conformation[judged_rows(truth, 20)], return_index=True)[1]

    def alone(state: int) -> np.ndarray:
        images = particles.subset(np.flatnonzero(truth.conformation == state))
        halves = accumulate_halves(images, random_halves(len(images), seed=0), torch.device("cpu"))
        return as_volume(reconstruct(*halves, torch.tensor(mask)))

    maps = {name: getattr(observers, name)().answer.maps_of(rows) for name in ("known_components", "known_label")}
    maps["alone"] = np.stack([alone(state) for state in range(8)])
    mean_fsc = {
        name: np.mean([fsc_auc(*fsc(volume, truth.volume(state), mask)) for state, volume in enumerate(volumes)])
        for name, volumes in maps.items()
    }
    assert mean_fsc["known_components"] > mean_fsc["alone"] + 0.01
    assert mean_fsc["known_label"] > mean_fsc["alone"] + 0.01


def test_known_labels_need_no_more_memory_than_there_is(
    computed: tuple[Truth, Limits], monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, _ = computed
    labels = KnownLabels(open_particles(truth.folder), truth, "cpu")
    together = labels.maps(truth.mapped, 1)
    monkeypatch.setattr("cryoarena.limits.known_label._MOST_BYTES", 1)
    one_by_one = labels.maps(truth.mapped, 1)
    # A quarter of the signal that filters a map is that of those made with it.
    for a, b in zip(together, one_by_one, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98


def test_chance_is_the_floor_where_it_beats_saying_nothing(computed: tuple[Truth, Limits]) -> None:
    """Classes drawn at random have about equal populations, which are the true ones here."""
    truth, limits = computed
    kept = {
        name: read_json(truth.folder / "truth" / "limits" / f"{name}.json")["scores"] for name in ("chance", "bayes")
    }
    key = "populations/kmeans_counting/l1"
    if kept["chance"][key]["value"] > kept["bayes"][key]["value"]:
        assert limits["floor"]["scores"][key]["source"] == "chance"
    assert limits["floor"]["scores"]["pmn/standard/mean_1_10"]["source"] == "one-for-all"


def test_the_sample_of_images_is_the_same_for_floor_and_ceiling(computed: tuple[Truth, Limits]) -> None:
    truth, _ = computed
    observers = Observers(truth, "cpu")
    seen = [observation.truth.particle_id for observation in (observers.one_for_all(), observers.bayes())]
    np.testing.assert_array_equal(*seen)
