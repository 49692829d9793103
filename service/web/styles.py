"""The style sheets of the pages. Each begins with the rules that all pages share."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


def style_sheet(sheet: Traversable) -> bytes:
    """Return a page's style sheet: base.css, then the page's own rules."""
    base = files("service.web") / "base.css"
    return base.read_bytes() + sheet.read_bytes()
