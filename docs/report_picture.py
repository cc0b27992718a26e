"""Draw the picture of the report in README.md: python docs/report_picture.py REPORT.html [CONFORMATION]

Needs Chromium with chromedriver. The picture ends below the maps; CONFORMATION is the position of the slider.
"""

import base64
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

WIDTH_PX, PICTURE_PX = 1400, 900
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
MOVE = """
    document.querySelector("section.viewers").scrollIntoView({behavior: "instant"});
    const slider = document.querySelector(".conformation");
    slider.value = arguments[0];
    slider.dispatchEvent(new Event("input", {bubbles: true}));
"""
END = "return document.querySelector('section.viewers').getBoundingClientRect().bottom + scrollY"


def draw(page: Path, conformation: int) -> Image.Image:
    """Return the page from its top to below the maps of one data set."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, "--hide-scrollbars", f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    try:
        size = {"width": WIDTH_PX, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.resolve().as_uri())
        browser.execute_script(MOVE, conformation)
        ready = f"return CryoArena.state.webgl && CryoArena.state.surfaces?.conformation === {conformation}"
        WebDriverWait(browser, 120).until(lambda driver: driver.execute_script(ready))
        end = browser.execute_script(END)
        browser.execute_script("scrollTo(0, 0)")
        time.sleep(3)  # until the last frame is drawn
        clip = {"x": 0, "y": 0, "width": WIDTH_PX, "height": end + 12, "scale": 1}
        shot = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        data = browser.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]
    finally:
        browser.quit()
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


if __name__ == "__main__":
    picture = draw(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    small = picture.resize((PICTURE_PX, round(picture.height * PICTURE_PX / picture.width)), Image.Resampling.LANCZOS)
    small.save(Path(__file__).parent / "images/report.png", optimize=True)
