import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_bench import add_dataset

from cryoarena.errors import UserError
from cryoarena.report import write_report

PPCA, DATA = "results/turning-arm/ppca", "datasets/turning-arm"


def page(folder: Path) -> str:
    output = folder.parent / "report.html"
    write_report(folder, output)
    return output.read_text(encoding="utf-8")


def test_page_needs_nothing_from_outside(bench: Path, tmp_path: Path) -> None:
    write_report(bench, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", html.split('<script type="application/json"')[0])
    assert "default-src 'none'" in html
    assert len(html) < 5_000_000
    for heading in ("What was run", "Scores", "Truth and reconstructions", "Curves", "Latents", "Particles"):
        assert f"<h2>{heading}</h2>" in html


def test_page_tells_who_won_and_offers_the_table(bench: Path, tmp_path: Path) -> None:
    write_report(bench, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "ppca is best on per-image FSC AUC (moving region)" in html
    assert 'href="data:text/csv;base64,' in html
    assert "not applicable" in html
    assert "the embedding is constant" in html


def test_score_table_names_the_unit(bench: Path, tmp_path: Path) -> None:
    write_report(bench, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert html.count("in cycles/px<") == 4
    assert html.count("in %<") == 1
    assert 'aria-label="ppca: 62.0 %, floor 5.50' in html


@pytest.mark.parametrize(
    ("kind", "before"),
    [("compositional, discrete", "Truth and reconstructions"), ("conformational, continuous", "Particles")],
)
def test_confusion_stands_by_the_scores_of_states_and_below_the_latents_of_a_motion(
    own_bench: Path, kind: str, before: str
) -> None:
    path = own_bench / DATA / "dataset.json"
    info = json.loads(path.read_text())
    info["card"]["kind"] = kind
    path.write_text(json.dumps(info))
    headings = re.findall("<h2>(.*?)</h2>", page(own_bench))
    assert headings.count("Confusion of states") == 1
    assert headings[headings.index("Confusion of states") + 1] == before


def test_no_confusion_without_its_curves(own_bench: Path) -> None:
    for path in own_bench.glob("results/*/*/comparison/curves.json"):
        curves = {key: curve for key, curve in json.loads(path.read_text()).items() if "confusion" not in key}
        path.write_text(json.dumps(curves))
    html = page(own_bench)
    assert "Confusion of states" not in html
    assert "<h2>Curves</h2>" in html


def test_same_input_gives_the_same_bytes(bench: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(bench, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(
    ("lost", "note"),
    [
        (DATA, "there is no truth to show"),
        (f"{DATA}/truth", "truth/particles.parquet of turning-arm is not there"),
        (f"{DATA}/truth/volumes", "true maps of turning-arm are missing"),
        (f"{DATA}/truth/limits", "no limits known|Scores"),
        (f"{DATA}/particles.star", "The particle gallery cannot be shown"),
        (f"{DATA}/particles/0000.mrcs", "The particle gallery cannot be shown"),
        (f"{PPCA}/scores.csv", "ppca on turning-arm has no scores yet"),
        (f"{PPCA}/embedding.npy", "The embedding of ppca is missing"),
        (f"{PPCA}/comparison", "ppca has no maps to show"),
        (f"{PPCA}/comparison/curves.json", "ppca has no curves"),
    ],
)
def test_a_missing_piece_becomes_a_note(own_bench: Path, lost: str, note: str) -> None:
    path = own_bench / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    html = page(own_bench)
    assert re.search(note, html)
    assert "ppca" in html


@pytest.mark.parametrize(
    ("damaged", "note"),
    [
        (f"{PPCA}/scores.csv", "has no column|cannot be read"),
        (f"{PPCA}/embedding.npy", "The embedding of ppca cannot be read"),
        (f"{PPCA}/comparison/curves.json", "ppca has no curves: .* is not valid JSON"),
        (f"{PPCA}/comparison/conformation_0002.mrc", "A map is left out"),
        (f"{DATA}/truth/conformations.parquet", "conformations.parquet of turning-arm cannot be read"),
        (f"{DATA}/truth/limits/floor.json", "The floor is not drawn"),
        (f"{DATA}/truth/volumes/0003.mrc", "A map is left out"),
        (f"{DATA}/truth/mask_moving.mrc", "The moving region is not marked"),
    ],
)
def test_a_damaged_piece_becomes_a_note(own_bench: Path, damaged: str, note: str) -> None:
    (own_bench / damaged).write_bytes(b"not what it should be")
    assert re.search(note, page(own_bench))


def test_an_empty_embedding_or_one_of_nan_ends_no_report(own_bench: Path) -> None:
    (own_bench / PPCA / "embedding.npy").write_bytes(b"")
    assert "The embedding of ppca cannot be read" in page(own_bench)
    count = len(np.load(own_bench / PPCA / "particle_id.npy"))
    np.save(own_bench / PPCA / "embedding.npy", np.full((count, 3), np.nan, np.float32))
    assert "cannot be shown" not in page(own_bench)


def test_the_table_of_all_runs_is_on_the_page_once(own_bench: Path) -> None:
    assert page(own_bench).count("data:text/csv") == 1


@pytest.mark.parametrize("content", ["[]", '{"class-agreement/confusion": []}'])
def test_curves_of_another_shape_become_a_note(own_bench: Path, content: str) -> None:
    (own_bench / f"{PPCA}/comparison/curves.json").write_text(content)
    html = page(own_bench)
    assert re.search("ppca has no curves: .* is not a JSON object|The confusion matrices cannot be shown", html)
    assert "ppca is best on" in html


def test_failed_run_is_shown_with_its_reason(own_bench: Path) -> None:
    path = own_bench / PPCA / "result.json"
    info = json.loads(path.read_text())
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text(json.dumps(info | {"status": "failed", "reason": "ValueError: singular matrix"}))
    html = page(own_bench)
    assert html.count("ValueError: singular matrix") >= 2
    assert "has no scores yet" not in html


def test_a_result_that_lacks_particles_says_so(own_bench: Path) -> None:
    path = own_bench / PPCA / "scores.csv"
    pd.read_csv(path).assign(coverage=0.9, particles=2000).to_csv(path, index=False)
    html = page(own_bench)
    assert "Covers 1,800 of 2,000 particles; the others are not judged." in html
    assert 'aria-label="ppca (1,800 of 2,000 particles): 62.0 %' in html
    assert html.count("consensus (") == 0


def test_lacking_particles_are_told_beside_the_mean_over_datasets(own_bench: Path) -> None:
    add_dataset(own_bench, "other")
    path = own_bench / "results/other/ppca/scores.csv"
    pd.read_csv(path).assign(dataset="other", coverage=0.9, particles=2000).to_csv(path, index=False)
    of_all = page(own_bench).split("<h2>Over all datasets</h2>")[1].split("</section>")[0]
    # Two boards of FSC and one of neighbourhoods; the first dataset has all particles.
    assert of_all.count("of 1,800 of 2,000 particles") == 3


def test_names_from_strangers_are_text(own_bench: Path) -> None:
    path = own_bench / PPCA / "result.json"
    info = json.loads(path.read_text())
    info["method"] |= {"name": "<img src=x onerror=alert(1)>", "title": "</script><script>alert(2)</script>"}
    path.write_text(json.dumps(info))
    html = page(own_bench)
    assert "<img src=x" not in html
    assert "<script>alert(2)" not in html


def test_a_run_of_a_suite_that_failed_leads_to_its_log(own_bench: Path, tmp_path: Path) -> None:
    for method, key in (("ppca", "0" * 12), ("consensus", "1" * 12)):
        (own_bench / "results/turning-arm" / method).rename(own_bench / f"results/turning-arm/{method}-seed7-{key}")
    path = next(own_bench.glob("results/*/consensus*/result.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed", "reason": "no memory"}))
    (own_bench / "logs").mkdir()
    for key in ("0" * 12, "1" * 12):
        (own_bench / f"logs/run-turning-arm-any-seed-7-{key}.log").touch()
    write_report(own_bench, own_bench / "report.html")
    html = (own_bench / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'no memory <a href="([^"]*)"', html) == ["logs/run-turning-arm-any-seed-7-111111111111.log"]
    assert "000000000000.log" not in html  # what ran well needs no log
    (tmp_path / "elsewhere").mkdir()
    write_report(own_bench, tmp_path / "elsewhere/report.html")
    assert ".log" not in (tmp_path / "elsewhere/report.html").read_text(encoding="utf-8").split("<script")[0]


def test_no_result_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no result folder"):
        write_report(tmp_path / "empty", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
