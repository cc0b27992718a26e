"""The page in a real browser: headless Chromium with software WebGL."""

import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_bench import add_dataset, write_bench
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from cryoarena.report import write_report
from cryoarena.report.site import write_site

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
]


def start(profile: Path, *more: str) -> webdriver.Chrome:
    driver = shutil.which("chromedriver")
    if CHROMIUM is None or driver is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium and chromedriver must be there in CI")
        pytest.skip("no Chromium with chromedriver on this machine")
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", *more):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(driver), options=options)


@pytest.fixture(scope="module")
def page(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("page") / "report.html"
    write_report(bench, output)
    return output


@pytest.fixture(scope="module")
def chromium(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser = start(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


def resize(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def opened(browser: webdriver.Chrome, page: Path, width: int = 1400) -> webdriver.Chrome:
    """Open the page, scroll through it and wait until everything lazy is drawn."""
    resize(browser, width)
    browser.get_log("browser")
    browser.get(page.as_uri())
    show(browser, "section.viewers")
    wait(browser, "return CryoArena.state.webgl === true && CryoArena.state.surfaces")
    show(browser, "section.latent")
    wait(browser, "return CryoArena.state.latent")
    show(browser, "section.confusion")
    wait(browser, "return CryoArena.state.confusion")
    return browser


def show(browser: webdriver.Chrome, selector: str) -> None:
    script = "document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant', block: 'start'})"
    browser.execute_script(script, selector)


def wait(browser: webdriver.Chrome, script: str) -> None:
    WebDriverWait(browser, 90, 0.1).until(lambda driver: driver.execute_script(script))


def picture(browser: webdriver.Chrome, selector: str) -> np.ndarray:
    element = browser.find_element(By.CSS_SELECTOR, selector)
    return np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")).astype(int)


def complaints(browser: webdriver.Chrome) -> list[dict[str, object]]:
    """Return the errors and warnings on the console since it was last read."""
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def covered(browser: webdriver.Chrome, view: str) -> float:
    """Return the share of a 3-D view that differs from its background."""
    image = picture(browser, view)
    return float((np.abs(image - image[2, 2]).sum(axis=2) > 30).mean())


def set_range(browser: webdriver.Chrome, selector: str, value: float) -> None:
    browser.execute_script(
        "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        selector,
        value,
    )


@pytest.mark.parametrize("width", [1400, 400])
def test_page_opens_without_errors_or_overflow(chromium: webdriver.Chrome, page: Path, width: int) -> None:
    browser = opened(chromium, page, width)
    assert complaints(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    broken = "return [...document.images].filter(i => !i.hidden && !(i.complete && i.naturalWidth)).length"
    assert browser.execute_script(broken) == 0
    assert browser.execute_script("return document.images.length") >= 3 * 12 + 3


@pytest.fixture(scope="module")
def site(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site([Path(shutil.copytree(bench, folder / "suite"))], folder / "site")
    return folder / "site"


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("name", ["index", "suite/index", "suite/turning-arm/index", "suite/turning-arm/ppca"])
def test_pages_of_a_site_open_without_errors_or_overflow(
    chromium: webdriver.Chrome, site: Path, name: str, width: int
) -> None:
    address = site / f"{name}.html"
    if name == "suite/turning-arm/index":
        opened(chromium, address, width)
    else:
        resize(chromium, width)
        chromium.get_log("browser")
        chromium.get(address.as_uri())
    assert complaints(chromium) == []
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    assert chromium.find_element(By.CSS_SELECTOR, "h1").text


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 400])
def test_the_first_views_of_many_are_drawn_again(
    chromium: webdriver.Chrome, bench: Path, tmp_path: Path, width: int
) -> None:
    """Browsers keep 16 WebGL contexts; six datasets have eighteen views."""
    many = Path(shutil.copytree(bench, tmp_path / "many"))
    for number in range(5):
        add_dataset(many, f"z{number}")
    write_report(many, tmp_path / "many.html")
    resize(chromium, width)
    chromium.get_log("browser")
    chromium.get((tmp_path / "many.html").as_uri())
    for key in (*range(6), *reversed(range(6))):
        show(chromium, f"#d{key}-maps")
        wait(chromium, f"return document.querySelectorAll('#d{key}-maps .gl canvas').length === 3")
        assert chromium.execute_script("return document.querySelectorAll('.gl canvas').length") <= 16
        if key == 5:
            assert not chromium.find_elements(By.CSS_SELECTOR, "#d0-maps .gl canvas")
    WebDriverWait(chromium, 90, 0.5).until(lambda browser: 0.03 < covered(browser, "#d0-maps .gl") < 0.8)
    assert complaints(chromium) == []


def test_all_views_show_a_surface_and_follow_the_slider(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.viewers")
    views = [f'.view[data-column="{column}"] .gl' for column in range(3)]
    before = [picture(browser, view) for view in views]
    assert all(0.03 < covered(browser, view) < 0.8 for view in views)
    projection = "return document.querySelector('.view[data-column=\"1\"] .projection').src"
    first = browser.execute_script(projection)
    set_range(browser, ".conformation", 3)
    wait(browser, "return CryoArena.state.surfaces.conformation === 3")
    after = [picture(browser, view) for view in views]
    moved = [np.abs(a - b).sum(axis=2).astype(bool).mean() for a, b in zip(before, after, strict=True)]
    assert moved[0] > 0.02  # truth
    assert moved[1] > 0.02  # ppca, the best method
    assert moved[2] == 0  # the consensus is one map
    assert browser.execute_script(projection) != first
    assert "180°" in browser.find_element(By.CSS_SELECTOR, ".which").text


def test_higher_level_draws_a_smaller_surface(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    low = browser.execute_script("return CryoArena.state.surfaces.triangles")
    set_range(browser, ".level", 2.2)
    wait(browser, "return CryoArena.state.surfaces.level === 2.2")
    high = browser.execute_script("return CryoArena.state.surfaces.triangles")
    assert all(b < a for a, b in zip(low, high, strict=True))


def test_cameras_are_linked(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.viewers")
    views = [f'.view[data-column="{column}"] .gl' for column in (0, 2)]
    before = [picture(browser, view) for view in views]
    browser.find_element(By.CSS_SELECTOR, views[0]).send_keys("\ue014" * 4)  # four times the right arrow key
    after = [picture(browser, view) for view in views]
    for a, b in zip(before, after, strict=True):
        assert np.abs(a - b).sum(axis=2).astype(bool).mean() > 0.02


def press(browser: webdriver.Chrome, mode: str) -> None:
    browser.execute_script("document.querySelector(`.mode[data-mode='${arguments[0]}']`).click()", mode)
    wait(browser, f"return CryoArena.state.slices?.mode === '{mode}'")


def test_another_method_can_be_put_beside_the_truth(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.viewers")
    image = "return document.querySelector('.view[data-column=\"1\"] .projection').src"
    first = browser.execute_script(image)
    browser.execute_script(
        "const s = document.querySelector('.view[data-column=\"1\"] select'); s.value = 2;"
        "s.dispatchEvent(new Event('change'))"
    )
    other = browser.execute_script("return document.querySelector('.view[data-column=\"2\"] .projection').src")
    assert browser.execute_script(image) == other != first


def test_the_slider_goes_along_the_maps_of_a_method(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.viewers")
    names = [option.text for option in browser.find_elements(By.CSS_SELECTOR, ".along option")]
    assert names == ["true conformations", "maps of ppca"]  # the consensus has but one map
    browser.execute_script(
        "const s = document.querySelector('.along'); s.value = 1; s.dispatchEvent(new Event('change'))"
    )
    assert "Map 1 of 3" in browser.find_element(By.CSS_SELECTOR, ".which").text
    assert browser.find_element(By.CSS_SELECTOR, ".conformation").get_attribute("max") == "2"
    # The map is that of ψ = 180°, and so is the truth beside it; the consensus offers nothing here.
    assert "180°" in browser.find_element(By.CSS_SELECTOR, ".which").text
    images = [f'.view[data-column="{column}"] .projection' for column in range(3)]
    shown = [browser.find_element(By.CSS_SELECTOR, image).is_displayed() for image in images]
    assert shown == [True, True, False]
    before = [picture(browser, image) for image in images[:2]]
    set_range(browser, ".conformation", 1)
    wait(browser, "return CryoArena.state.surfaces.conformation === 1")
    after = [picture(browser, image) for image in images[:2]]
    assert all(np.abs(b - a).max() > 60 for a, b in zip(before, after, strict=True))


def test_slices_follow_the_sliders_and_differences_show_what_is_missing(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.viewers")
    press(browser, "slice")
    slices = [f'.view[data-column="{column}"] .slice' for column in range(3)]
    assert not browser.find_element(By.CSS_SELECTOR, ".view .gl").is_displayed()
    before = [picture(browser, canvas) for canvas in slices]
    assert all(image.max() > 120 for image in before)
    set_range(browser, ".conformation", 3)
    wait(browser, "return CryoArena.state.slices.conformation === 3")
    moved = [
        np.abs(picture(browser, c) - a).sum(axis=2).astype(bool).mean() for c, a in zip(slices, before, strict=True)
    ]
    assert moved[0] > 0.01
    assert moved[2] == 0  # the consensus is one map
    at_the_end = picture(browser, slices[0])
    through_the_arm = browser.execute_script("return document.querySelector('.slice-at').value")
    set_range(browser, ".slice-at", 0)
    wait(browser, "return CryoArena.state.slices.position === 0")
    assert np.abs(picture(browser, slices[0]) - at_the_end).max() > 60
    set_range(browser, ".slice-at", through_the_arm)
    press(browser, "difference")
    missing = [np.percentile(image[..., 0] - image[..., 2], 99) for image in (picture(browser, s) for s in slices[1:])]
    assert missing[1] > 1.3 * missing[0]  # the consensus lacks more of the arm than ppca
    assert complaints(browser) == []


def told_at_a_point(browser: webdriver.Chrome) -> tuple[int, str]:
    """Move the pointer to a coloured pixel of the latents; return how many there are, and what is told."""
    show(browser, "section.latent")
    image = picture(browser, ".scatter canvas")
    colourful = np.argwhere(image.max(axis=2) - image.min(axis=2) > 60)
    y, x = colourful[len(colourful) // 2]
    browser.execute_script(
        "const c = document.querySelector('.scatter canvas'), b = c.getBoundingClientRect();"
        "const at = {clientX: b.left + arguments[0], clientY: b.top + arguments[1]};"
        "c.dispatchEvent(new PointerEvent('pointermove', at))",
        int(x),
        int(y),
    )
    return len(colourful), browser.find_element(By.CSS_SELECTOR, ".scatter .tip").text


def test_points_are_drawn_and_answer_the_pointer(chromium: webdriver.Chrome, page: Path) -> None:
    pixels, told = told_at_a_point(opened(chromium, page))
    assert pixels > 200 * 4
    assert "particle" in told
    assert "psi" in told


def test_thousands_of_points_are_drawn_pixel_by_pixel(
    chromium: webdriver.Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("report_bench.PARTICLES", 3300)
    write_report(write_bench(tmp_path / "bench"), tmp_path / "report.html")
    browser = opened(chromium, tmp_path / "report.html")
    pixels, told = told_at_a_point(browser)
    # Each as a square of four pixels; those of one conformation lie on each other.
    assert 3300 < pixels <= 4 * 3300
    assert "psi" in told
    assert complaints(browser) == []


def test_points_are_coloured_by_what_is_chosen(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.latent")
    pictures = []
    for name, bar in (("junk", "junk|none, noise"), ("ice thickness", r"ice thickness [\d.]+ nm\|[\d.]+ nm")):
        Select(browser.find_element(By.CSS_SELECTOR, "select.cv")).select_by_visible_text(name)
        ends = [browser.find_element(By.CSS_SELECTOR, f".latent .colour-bar .{end}").text for end in ("low", "high")]
        assert "|".join(ends) == bar or re.fullmatch(bar, "|".join(ends))
        pictures.append(picture(browser, ".scatter canvas"))
    assert np.abs(pictures[1] - pictures[0]).max() > 60
    press_key(browser, ".scatter canvas", Keys.ARROW_RIGHT)
    told = browser.find_element(By.CSS_SELECTOR, ".scatter .tip").text
    assert re.search(r"junk = no(ne|ise) · ice thickness = [\d.]+ nm", told)


def press_key(browser: webdriver.Chrome, selector: str, key: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).focus({preventScroll: true})", selector)
    ActionChains(browser).send_keys(key).perform()


def test_arrow_keys_go_from_point_to_point(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    show(browser, "section.latent")
    canvas, tip, ring = (f".scatter {part}" for part in ("canvas", ".tip", ".ring"))
    place = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, -r.top]"
    seen = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_DOWN):
        press_key(browser, canvas, key)
        seen.append((browser.find_element(By.CSS_SELECTOR, tip).text, browser.execute_script(place, ring)))
    (first, _), (second, _), (third, _), (back, _), (above, _), (below, _) = seen
    assert all("particle" in text and "psi" in text for text, _ in seen)
    assert len({first, second, third, above}) == 4
    assert (back, below) == (second, second)
    x = [at[0] for _, at in seen[:3]]
    assert x == sorted(x)
    assert seen[4][1][1] >= seen[3][1][1]  # upwards
    press_key(browser, canvas, Keys.ESCAPE)
    assert not browser.find_element(By.CSS_SELECTOR, tip).is_displayed()
    assert not browser.find_element(By.CSS_SELECTOR, ring).is_displayed()


def test_arrow_keys_go_from_cell_to_cell(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    canvas, tip = (f'.confusion-plot[data-series="1"] {part}' for part in ("canvas", ".tip"))
    told = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_UP):
        press_key(browser, canvas, key)
        told.append(browser.find_element(By.CSS_SELECTOR, tip).text.splitlines()[0].split(":")[0])
    cells = [(0, 0), (0, 1), (1, 1), (1, 0), (1, 0), (0, 0)]
    assert told == [f"state {state} in class matched with {match}" for state, match in cells]
    press_key(browser, canvas, Keys.ESCAPE)
    assert not browser.find_element(By.CSS_SELECTOR, tip).is_displayed()


def test_curve_selector_changes_the_plot(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    line = "return document.querySelector('.plot .curve:last-of-type').getAttribute('points')"
    assert browser.execute_script("return CryoArena.state.curve") == "per-image-fsc/standard/moving_mask"
    first = browser.execute_script(line)
    browser.execute_script(
        "const s = document.querySelector('.curve'); s.value = 1; s.dispatchEvent(new Event('change'))"
    )
    assert browser.execute_script("return CryoArena.state.curve") == "per-image-fsc/standard/mask"
    assert browser.execute_script(line) != first


def test_pose_errors_are_bars(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    select = Select(browser.find_element(By.CSS_SELECTOR, "select.curve"))
    select.select_by_visible_text("Pose error (rotation)")
    points = browser.execute_script("return document.querySelector('.plot .curve:last-of-type').getAttribute('points')")
    x, y = np.array([point.split(",") for point in points.split()], float).T
    ground = float(browser.find_element(By.CSS_SELECTOR, ".plot .grid").get_attribute("y1"))
    assert y[[0, -1]] == pytest.approx(ground, abs=0.1)
    assert len(x) == 2 * 36 + 2  # two corners per bar
    np.testing.assert_array_equal(y[1:-1:2], y[2:-1:2])  # bars are flat …
    np.testing.assert_array_equal(x[2:-1:2], x[3::2])  # … and touch
    assert np.diff(x[1:-1:2]) == pytest.approx((x[-1] - x[0]) / 36, abs=0.2)
    at_150 = float(browser.find_elements(By.CSS_SELECTOR, ".plot .grid")[-1].get_attribute("x1"))
    assert (at_150 - x[0]) / (x[-1] - x[0]) == pytest.approx(150 / 180, abs=0.001)  # the last bar ends at 180°
    assert not browser.find_elements(By.CSS_SELECTOR, ".plot polygon")


def test_figures_are_saved_as_shown(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    for selector, name, kind in (
        ("section.curves [data-save=svg]", "turning-arm-per-image-fsc-moving-region.svg", "image/svg+xml"),
        ("section.curves [data-save=png]", "turning-arm-per-image-fsc-moving-region.png", "image/png"),
        ("section.curves [data-save=csv]", "turning-arm-per-image-fsc-moving-region.csv", "text/csv"),
        (".stat [data-save=svg]", "turning-arm-per-image-fsc-auc-moving-region.svg", "image/svg+xml"),
        (".stat [data-save=png]", "turning-arm-per-image-fsc-auc-moving-region.png", "image/png"),
        (".confusion-plot [data-save=csv]", "turning-arm-consensus.csv", "text/csv"),
        (".scatter [data-save=png]", "turning-arm-ppca.png", "image/png"),
    ):
        browser.execute_script("CryoArena.state.saved = null; document.querySelector(arguments[0]).click()", selector)
        wait(browser, "return CryoArena.state.saved")
        saved = browser.execute_script("return CryoArena.state.saved")
        assert (saved["name"], saved["type"]) == (name, kind)
        assert saved["size"] > 150
    assert complaints(browser) == []


def test_a_saved_leaderboard_has_the_colours_of_the_methods(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    browser.execute_script("""
        const make = URL.createObjectURL.bind(URL);
        URL.createObjectURL = (blob) => {
          createImageBitmap(blob).then((image) => {
            const canvas = new OffscreenCanvas(image.width, image.height);
            canvas.getContext('2d').drawImage(image, 0, 0);
            const data = canvas.getContext('2d').getImageData(0, 0, image.width, image.height).data;
            const counts = {};
            for (let i = 0; i < data.length; i += 4) {
              const colour = '#' + [...data.slice(i, i + 3)].map((v) => v.toString(16).padStart(2, '0')).join('');
              counts[colour] = (counts[colour] || 0) + 1;
            }
            window.counts = counts;
          });
          return make(blob);
        };
        document.querySelector('.stat [data-save=png]').click();
    """)
    wait(browser, "return window.counts")
    counts = browser.execute_script("return window.counts")
    methods = browser.execute_script("return [0, 1].map((number) => CryoArena.css(`--m${number}`))")
    assert all(counts.get(colour, 0) > 50 for colour in methods)
    assert counts.get("#000000", 0) < 10


CELL = """
    const canvas = [...document.querySelectorAll('.confusion-plot canvas')].filter((c) => c.clientWidth)[1];
    const left = 44, top = 4, side = Math.min(canvas.clientWidth - left - 4, canvas.clientHeight - top - 38);
    const at = (k) => (k + 0.2) * side / 6;
    const [x, y] = [left + at(arguments[1]), top + at(arguments[0])];
"""
COLOUR = CELL + "return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)"
HOVER = f"""{CELL}
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent('pointermove', {{clientX: box.left + x, clientY: box.top + y}}));
    return canvas.parentElement.querySelector('.tip').innerText;
"""


@pytest.mark.parametrize("width", [1400, 400])
def test_confusion_has_a_row_per_true_state(chromium: webdriver.Chrome, page: Path, width: int) -> None:
    browser = opened(chromium, page, width)
    none, some, most = (sum(browser.execute_script(COLOUR, *cell)) for cell in ((3, 2), (2, 3), (2, 2)))
    assert most < some < none  # on a light page more is darker
    text = browser.execute_script(HOVER, 2, 3)
    assert text.splitlines() == ["state 2 in class matched with 3: 0.30 ± 0.03", "psi\xa0=\xa0120° → psi\xa0=\xa0180°"]
    assert browser.execute_script(HOVER, 3, 2).startswith("state 3 in class matched with 2: 0.00")
    tip = browser.execute_script(
        "return document.querySelector('.confusion .tip:not([hidden])').getBoundingClientRect()"
    )
    assert tip["left"] >= 0
    assert tip["right"] <= width


def test_confusion_of_the_posterior_can_be_chosen(chromium: webdriver.Chrome, page: Path) -> None:
    browser = opened(chromium, page)
    assert browser.execute_script("return CryoArena.state.confusion") == "class-agreement/confusion"
    browser.execute_script(
        "const s = document.querySelector('select.matrix'); s.value = 1; s.dispatchEvent(new Event('change'))"
    )
    assert browser.execute_script("return CryoArena.state.confusion") == "posterior-class-agreement/confusion"
    text = browser.execute_script(HOVER, 2, 3)
    assert text.splitlines()[0] == "state 2 in class matched with 3: 0.30"  # judged once: nothing to spread


def test_surface_of_a_ball_is_closed_and_of_the_right_area(chromium: webdriver.Chrome, page: Path) -> None:
    opened(chromium, page)
    area, volume, unmatched = chromium.execute_script("""
        const n = 32, radius = 10, values = new Uint8Array(n ** 3);
        for (let z = 0; z < n; z++) for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
            const r = Math.hypot(x - 15.3, y - 15.8, z - 16.1);
            values[(z * n + y) * n + x] = Math.max(0, Math.min(255, Math.round(100 + 20 * (radius - r))));
        }
        const m = CryoArena.surface(values, [n, n, n], 100), v = m.vertices;
        let area = 0, volume = 0;
        const edges = new Map();
        for (let i = 0; i < m.faces.length; i += 3) {
            const [a, b, c] = [0, 1, 2].map((k) => [...v.slice(3 * m.faces[i + k], 3 * m.faces[i + k] + 3)]);
            const u = b.map((q, k) => q - a[k]), w = c.map((q, k) => q - a[k]);
            const cross = [u[1]*w[2]-u[2]*w[1], u[2]*w[0]-u[0]*w[2], u[0]*w[1]-u[1]*w[0]];
            area += Math.hypot(...cross) / 2;
            volume += (a[0] * cross[0] + a[1] * cross[1] + a[2] * cross[2]) / 6;
            for (let k = 0; k < 3; k++) {
                const [p, q] = [m.faces[i + k], m.faces[i + (k + 1) % 3]];
                const key = p < q ? `${p} ${q}` : `${q} ${p}`;
                edges.set(key, (edges.get(key) || 0) + (p < q ? 1 : -1));
            }
        }
        return [area, volume, [...edges.values()].filter((s) => s !== 0).length];
    """)
    assert unmatched == 0  # every edge is walked once each way: closed, and turned one way
    assert area == pytest.approx(4 * np.pi * 100, rel=0.03)
    assert volume == pytest.approx(4 / 3 * np.pi * 1000, rel=0.03)  # positive: the faces look outwards


def test_without_webgl_the_projections_remain(page: Path, tmp_path: Path) -> None:
    browser = start(tmp_path, "--disable-3d-apis")
    try:
        resize(browser, 1400)
        browser.get(page.as_uri())
        show(browser, "section.viewers")
        wait(browser, "return CryoArena.state.webgl === false")
        assert browser.find_element(By.CSS_SELECTOR, ".no-3d").is_displayed()
        assert not browser.find_element(By.CSS_SELECTOR, ".gl").is_displayed()
        assert picture(browser, ".view .projection").max() > 150
        assert picture(browser, ".view .slice").max() > 120
        assert complaints(browser) == []
    finally:
        browser.quit()


def test_dark_page_is_dark(chromium: webdriver.Chrome, page: Path) -> None:
    for scheme in ("dark", "light"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        opened(chromium, page)
        show(chromium, "section.viewers")
        corner = picture(chromium, ".view .gl")[3, 3].mean()
        assert corner < 60 if scheme == "dark" else corner > 240
        none, most = (sum(chromium.execute_script(COLOUR, *cell)) for cell in ((3, 2), (2, 2)))
        assert none < most if scheme == "dark" else most < none


INK = """
    window.printed = null;
    const ink = (canvas) => {
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let [colourful, dark, light] = [0, 0, 0];
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] < 200) continue;
        const [low, high] = [Math.min(...data.slice(i, i + 3)), Math.max(...data.slice(i, i + 3))];
        if (high - low > 60) colourful++;
        else if (high < 90) dark++;
        else if (low > 225) light++;
      }
      return { colourful, dark, light };
    };
    const drawn = () => [...document.querySelectorAll('.canvas-box canvas')].filter((canvas) => canvas.clientWidth);
    matchMedia('print').addEventListener('change', (event) => {
      if (event.matches) window.printed = drawn().map(ink);
    });
"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_paper_is_light_and_shows_what_was_never_scrolled_to(
    chromium: webdriver.Chrome, page: Path, scheme: str
) -> None:
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    resize(chromium, 1400)
    chromium.get(page.as_uri())
    wait(chromium, "return CryoArena.state.latent && CryoArena.state.confusion")
    assert chromium.execute_script("return scrollY") == 0
    chromium.execute_script(INK)
    chromium.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    *confusion, latent = chromium.execute_script("return window.printed")
    assert len(confusion) == 2
    assert latent["colourful"] > 800
    assert latent["dark"] > 50 > latent["light"]  # the names of the axes
    assert all(matrix["colourful"] + matrix["dark"] > 10_000 for matrix in confusion)
