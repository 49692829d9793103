"""Take the pictures of the README: the demo's dashboard on a desktop, and on a phone in Spanish.

    python tools/screenshots.py [FOLDER]    FOLDER is of `beaconlog demo`; by default a new demo

`make screenshots` runs it. Chromium draws the pages; no picture may exceed PICTURE_BYTES_MAX.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from service.demo.process import command, service

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "images"
PICTURE_BYTES_MAX = 120_000
SHOP = "la-colmena"
_READY = "main svg"
_TO_ENGLISH = "English"
_PATIENCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the shop's page: the size of the window, and whose browser it is."""

    name: str
    width: int
    height: int
    locale: str
    scale: float = 1.0
    is_phone: bool = False


_ALL = (
    Picture("desktop", 1280, 860, "en-US"),
    Picture("phone", 390, 844, "es-HN", scale=1.5, is_phone=True),
)


def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "demo"
        if not folder.exists():
            subprocess.run(command(["demo", "--data", str(folder)]), check=True)
        with service(folder, folder / "beaconlog.toml") as urls, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for picture in _ALL:
                _take(browser, picture, f"{urls.dashboard}/?shop={SHOP}")
            browser.close()


def _take(browser: Browser, picture: Picture, url: str) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=picture.scale,
        is_mobile=picture.is_phone,
        has_touch=picture.is_phone,
        locale=picture.locale,
        timezone_id="America/Tegucigalpa",
        color_scheme="light",
    )
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(url)
    page.wait_for_selector(_READY)
    if not picture.is_phone:
        page.get_by_text(_TO_ENGLISH, exact=True).click()  # the shop's language is Spanish
    page.wait_for_load_state("networkidle")
    path = PICTURES / f"{picture.name}.png"
    page.screenshot(path=path)
    context.close()
    size = path.stat().st_size
    print(f"{path}: {size:,} bytes")
    if size > PICTURE_BYTES_MAX:
        sys.exit(f"{path} has more than {PICTURE_BYTES_MAX:,} bytes")


if __name__ == "__main__":
    main()
