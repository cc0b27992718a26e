import json
from pathlib import Path

import pytest
from report_bench import DATASET_ID, result_card

from cryoarena.errors import UserError
from cryoarena.report.collect import collect, distinct_names
from cryoarena.report.scores import read_scores


def put(folder: Path, name: str, data: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(data))


def test_results_are_matched_by_dataset_id(tmp_path: Path) -> None:
    put(tmp_path / "data/one", "dataset.json", {"id": DATASET_ID, "name": "one"})
    put(tmp_path / "data/two", "dataset.json", {"id": "other", "name": "two"})
    put(tmp_path / "runs/x/ppca", "result.json", result_card("ppca", "P"))
    collection = collect(tmp_path)
    (group,) = collection.groups
    assert group.dataset is not None
    assert group.dataset.path.name == "one"
    assert any("two" in note for note in collection.notes)


def test_a_recipe_that_a_suite_has_twice_is_called_by_its_labels(tmp_path: Path) -> None:
    for number, label in enumerate(("igg-1d", "igg-1d-carbon")):
        identity = f"{number}" * 64
        put(tmp_path / f"data/{label}-00000000000{number}", "dataset.json", {"id": identity, "name": "igg-1d"})
        run = tmp_path / f"results/{label}-00000000000{number}/ppca-seed0-0123456789ab"
        put(run, "result.json", result_card("ppca", "P") | {"dataset": {"name": "igg-1d", "id": identity}})
        row = "igg-1d,ppca,old,pmn,standard/mean_1_10,62,ok"
        (run / "scores.csv").write_text(f"dataset,method,run,metric,statistic,value,status\n{row}\n")
    groups = collect(tmp_path).groups
    assert [group.name for group in groups] == ["igg-1d", "igg-1d-carbon"]
    assert distinct_names(groups) == ["igg-1d", "igg-1d-carbon"]
    tables = [read_scores(group, []) for group in groups]
    assert [table["dataset"].tolist() for table in tables] == [["igg-1d"], ["igg-1d-carbon"]]
    assert tables[0]["run"].tolist() == ["ppca-seed0-0123456789ab"]


def test_a_dataset_outside_a_suite_is_called_by_its_recipe(tmp_path: Path) -> None:
    put(tmp_path / "made-0123456789ab", "dataset.json", {"id": DATASET_ID, "name": "one"})
    put(tmp_path / "run", "result.json", result_card("ppca", "P"))
    assert [group.name for group in collect(tmp_path).groups] == ["one"]


def test_seeds_of_one_method_are_one_variant_and_repeats_of_a_seed_are_not(tmp_path: Path) -> None:
    for seed, name in ((1, "a"), (2, "b"), (3, "c"), (3, "d")):
        put(tmp_path / name, "result.json", result_card("ppca", "P") | {"seed": seed})
    put(tmp_path / "e", "result.json", result_card("consensus", "C"))
    (group,) = collect(tmp_path).groups
    labels = [(result.variant, result.run) for result in group.results]
    assert labels == [
        ("consensus", ""),
        ("ppca in c", ""),
        ("ppca in d", ""),
        ("ppca", "seed 1"),
        ("ppca", "seed 2"),
    ]
    assert [result.label for result in group.results][-1] == "ppca, seed 2"
    assert len({result.colour for result in group.results}) == 4


def test_folders_of_one_name_are_told_apart_by_those_that_hold_them(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        put(tmp_path / folder / "ppca", "result.json", result_card("ppca", "P"))
    (group,) = collect(tmp_path).groups
    assert [result.label for result in group.results] == ["ppca in a/ppca", "ppca in b/ppca"]


def test_options_that_differ_set_variants_apart(tmp_path: Path) -> None:
    for seed, classes in ((1, 5), (2, 5), (1, 10)):
        options = {"given": {"classes": classes, "iterations": 25}}
        put(
            tmp_path / f"{seed}-{classes}",
            "result.json",
            result_card("class3d", "C") | {"seed": seed, "options": options},
        )
    (group,) = collect(tmp_path).groups
    assert [result.label for result in group.results] == [
        "class3d (classes 10)",
        "class3d (classes 5), seed 1",
        "class3d (classes 5), seed 2",
    ]


def test_damaged_json_is_noted_and_the_rest_is_shown(tmp_path: Path) -> None:
    put(tmp_path / "good", "result.json", result_card("ppca", "P"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/result.json").write_text("{")
    collection = collect(tmp_path)
    assert len(collection.groups[0].results) == 1
    assert any("bad" in note and "not valid JSON" in note for note in collection.notes)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: put(p / "a/b/c/d", "result.json", {})])
def test_no_result_within_reach_is_one_sentence(tmp_path: Path, make) -> None:
    make(tmp_path)
    with pytest.raises(UserError, match=r"holds no result folder.*cryoarena run"):
        collect(tmp_path)


def test_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        collect(tmp_path / "nowhere")
