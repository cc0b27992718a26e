"""Time the latent plot of a report with 100,000 points in headless Chromium. Run: python benchmarks/points.py FOLDER.

Times are taken in the page, from an event that is dispatched where a frame begins, as browsers deliver those of the
pointer, until that frame is painted. The new folder keeps page and pictures. Target: medians of 50 ms on two cores.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from selenium import webdriver

from cryoarena.report import write_report

POINTS, REPEATS = 100_000, 30
# Chromium as tests/report/test_browser.py starts it.
FLAGS = """--headless=new --no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --disable-dev-shm-usage
    --disable-quic --disable-background-networking --disable-component-update --disable-sync --no-first-run
    --force-device-scale-factor=1 --hide-scrollbars --window-size=1400,1000"""
WATCH = """
const frame = () => new Promise(requestAnimationFrame);
const channel = new MessageChannel(); // its messages wait until a frame is painted
const painted = () => new Promise((resolve) => {
  channel.port2.onmessage = () => resolve(performance.now());
  channel.port1.postMessage(null);
});
const drawn = (async () => {
  do await frame(); while (typeof CryoArena === "undefined" || !CryoArena.state.latent);
  return painted();
})();
"""
TIMES = """
const [repeats, done] = arguments;
const section = document.querySelector("section.latent");
const [canvas, tip, axis, colour] = ["canvas", ".tip", ".x-axis", ".cv"].map((part) => section.querySelector(part));
const choose = (select, i) => {
  select.selectedIndex = i % select.length;
  select.dispatchEvent(new Event("change"));
};
const point = (i) => { // on a spiral
  const box = canvas.getBoundingClientRect();
  const [x, y] = [Math.cos, Math.sin].map((part) => 0.3 * box.height * Math.sqrt(i / repeats) * part(2.4 * i));
  const at = { clientX: box.left + box.width / 2 + x, clientY: box.top + box.height / 2 + y };
  canvas.dispatchEvent(new PointerEvent("pointermove", at));
};
const acts = {
  "another axis": (i) => choose(axis, repeats - 1 - i),
  "another width": (i) => { section.style.width = `${900 + 7 * i}px`; },
  "another colour": (i) => choose(colour, repeats - 1 - i),
  "arrow key": (i) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key: i % 2 ? "ArrowUp" : "ArrowRight" })),
  "hover": point,
};
(async (found) => {
  for (const [name, act] of Object.entries(acts)) {
    const [ms, told] = [[], new Set()];
    for (let i = 0; i < repeats; i++) {
      await frame();
      const start = performance.now();
      act(i);
      ms.push((await painted()) - start);
      if (!tip.hidden) told.add(tip.textContent);
    }
    found.push([name, ms, told.size]);
  }
  done(found);
})([]);
"""


def write_bench(folder: Path) -> None:
    """Write what the latent plot is made from: true tables of a turning arm, and an embedding in ten dimensions."""
    rng = np.random.default_rng(0)
    state = rng.integers(0, 100, POINTS)
    truth = {"particle_id": np.arange(POINTS), "conformation": state, "cv_psi": 3.6 * state}
    truth |= {"ice_nm": rng.uniform(20, 40, POINTS), "defocus_u_A": rng.uniform(1e4, 2.5e4, POINTS)}
    latent = rng.normal(scale=0.25, size=(POINTS, 10))
    latent[:, :2] += np.exp(0.02j * np.pi * state[:, None]).view(float)
    dataset = {"id": "arm", "cvs": [{"name": "psi", "unit": "deg", "period": 360}]}
    for new in ("dataset/truth", "result"):
        (folder / new).mkdir(parents=True)
    (folder / "dataset/dataset.json").write_text(json.dumps(dataset))
    pd.DataFrame(truth).to_parquet(folder / "dataset/truth/particles.parquet")
    (folder / "result/result.json").write_text(json.dumps({"method": {"name": "noise"}, "dataset": {"id": "arm"}}))
    np.save(folder / "result/embedding.npy", latent.astype(np.float32))
    np.save(folder / "result/particle_id.npy", np.arange(POINTS))


def chromium() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    write_bench(folder)
    write_report(folder, page := folder / "report.html")
    print(f"page of {POINTS:,} points: {page.stat().st_size / 1e6:.1f} MB; load {os.getloadavg()[0]:.1f}")
    with chromium() as browser:
        browser.set_script_timeout(300)
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        browser.get(f"{page.as_uri()}#d0-latent")
        print(f"first drawn after {browser.execute_async_script('drawn.then(arguments[0])'):.0f} ms")
        plot = browser.find_element("css selector", "section.latent")
        plot.screenshot(str(folder / "plot.png"))
        for name, ms, told in browser.execute_async_script(TIMES, REPEATS):
            print(f"{name:14s} median {np.median(ms):6.1f} ms   worst {max(ms):6.1f} ms   told of {told} points")
        plot.screenshot(str(folder / "told.png"))
        print("console:", browser.get_log("browser") or "nothing")


if __name__ == "__main__":
    main()
