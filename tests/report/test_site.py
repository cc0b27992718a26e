import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from cryoarena.cli.report import report
from cryoarena.errors import UserError
from cryoarena.report.site import write_site

PAGES = ["index.html", "first/index.html", "first/turning-arm/index.html", "first/turning-arm/ppca.html"]


@pytest.fixture(scope="module")
def suites(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("suites")
    return [Path(shutil.copytree(bench, folder / name)) for name in ("first", "second one")]


def test_every_result_has_its_page_and_no_link_leads_nowhere(suites: list[Path], tmp_path: Path) -> None:
    write_site(suites, tmp_path / "site")
    site = tmp_path / "site"
    assert all((site / page).is_file() for page in PAGES)
    assert (site / "second-one/turning-arm/consensus.html").is_file()
    assert (site / "first/turning-arm/maps.cxc").read_text().startswith("# Truth and reconstructions of turning-arm")
    pages = list(site.rglob("*.html"))
    assert len(pages) == 1 + 2 * (1 + 1 + 2)
    for page in pages:
        html = page.read_text(encoding="utf-8").split('<script type="application/json"')[0]
        for address in re.findall(r'(?:href|src)="(?!data:|#)([^"]+)"', html):
            assert (page.parent / address).is_file(), (page, address)


def test_result_page_tells_scores_and_how_the_run_was_made(suites: list[Path], tmp_path: Path) -> None:
    write_site(suites[:1], tmp_path / "site")
    html = (tmp_path / "site/first/turning-arm/ppca.html").read_text(encoding="utf-8")
    assert "<h1>ppca on turning-arm</h1>" in html
    assert re.search(r"per-image-fsc/standard/mask/auc.*?0\.403.*?0\.34.*?0\.43.*?70 %", html, re.DOTALL)
    assert "612 MB" in html
    other = (tmp_path / "site/first/turning-arm/consensus.html").read_text(encoding="utf-8")
    assert "not applicable: the embedding is constant" in other


def test_result_page_tells_how_many_particles_are_judged(suites: list[Path], tmp_path: Path) -> None:
    suite = Path(shutil.copytree(suites[0], tmp_path / "partial"))
    path = next(suite.glob("results/*/ppca/scores.csv"))
    pd.read_csv(path).assign(coverage=0.9, particles=2000).to_csv(path, index=False)
    write_site([suite], tmp_path / "site")
    pages = {page.name: page.read_text() for page in (tmp_path / "site").rglob("*.html")}
    told = "Covers 1,800 of 2,000 particles; the others are not judged."
    assert told in pages["ppca.html"]
    assert told not in pages["consensus.html"]


def test_results_of_one_folder_name_have_pages_of_their_own(suites: list[Path], tmp_path: Path) -> None:
    suite = Path(shutil.copytree(suites[0], tmp_path / "first"))
    for name in ("a", "b"):
        shutil.copytree(suite / "results/turning-arm/ppca", suite / name / "ppca")
    shutil.copytree(suite / "results/turning-arm/ppca", suite / "index")
    shutil.rmtree(suite / "results/turning-arm/ppca")
    put = suite / "data-elsewhere"
    put.mkdir()
    (put / "dataset.json").write_text('{"id": "another", "name": "unused"}')
    write_site([suite], tmp_path / "site")
    pages = {path.name for path in (tmp_path / "site/first/turning-arm").glob("*.html")}
    assert pages == {
        "index.html",
        "ppca.html",
        "first-b-ppca.html",
        "consensus.html",
        f"{tmp_path.name}-first-index.html",
    }
    assert "turning-arm</h1>" in (tmp_path / "site/first/turning-arm/index.html").read_text()
    assert "No result was found for the dataset" in (tmp_path / "site/first/index.html").read_text()


def test_the_address_of_a_result_outlives_its_key(suites: list[Path], tmp_path: Path) -> None:
    suite = Path(shutil.copytree(suites[0], tmp_path / "first"))
    results = suite / "results/turning-arm"
    for key in ("0123456789ab", "ba9876543210"):
        results = results.rename(suite / f"results/turning-arm-{key}")
        (next(results.glob("ppca*"))).rename(results / f"ppca-seed7-{key}")
        write_site([suite], tmp_path / "site")
        names = {path.name for path in (tmp_path / "site/first/turning-arm").glob("*.html")}
        assert names == {"index.html", "ppca-seed7.html", "consensus.html"}


def test_addresses_do_not_depend_on_what_else_is_there(suites: list[Path], tmp_path: Path) -> None:
    write_site(suites, tmp_path / "both")
    write_site(suites[:1], tmp_path / "one")
    for page in PAGES[1:]:
        assert (tmp_path / "both" / page).read_bytes() == (tmp_path / "one" / page).read_bytes()


def test_a_site_is_replaced_and_nothing_else_is(suites: list[Path], tmp_path: Path) -> None:
    write_site(suites, tmp_path / "site")
    write_site(suites[:1], tmp_path / "site")
    assert not (tmp_path / "site/second-one").exists()
    with pytest.raises(UserError, match="is no site that can be replaced"):
        write_site(suites[:1], suites[1])
    assert (suites[1] / "results").is_dir()


def test_two_suites_of_one_name_are_refused(suites: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two folders are called first"):
        write_site([suites[0], suites[0]], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_the_verb_asks_for_a_folder_where_one_page_cannot_do(suites: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one page shows one folder; for 2 give a folder: -o r/"):
        report(suites, out=str(tmp_path / "r.html"))
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match="exists; add --overwrite"):
        report(suites, out=str(tmp_path / "notes"))
    with pytest.raises(UserError, match="is no site that can be replaced"):
        report(suites, out=f"{tmp_path}/notes/", overwrite=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "notes"]
