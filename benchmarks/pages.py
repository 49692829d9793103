"""Pages of shops: their paths.

They are those of the products in real shop traffic (`rees46-2019-10-01.csv` in the folder
`../shared/datasets` beside the checkout). Where that file is absent, paths of the same shape are
made up, and `describe` says so.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

_TRAFFIC = Path(__file__).parents[2] / "shared" / "datasets" / "rees46-2019-10-01.csv"
_CATEGORIES = (
    "electronics/smartphone",
    "electronics/clocks",
    "electronics/audio/headphone",
    "computers/notebook",
    "appliances/environment/air_heater",
    "appliances/kitchen/washer",
    "apparel/shoes/keds",
    "other",
)
_BRANDS = ("samsung", "apple", "xiaomi", "lenovo", "aqua", "shiseido", "bosch", "sony")
_MADE_UP = 2_048


@cache
def paths() -> tuple[str, ...]:
    """Return the paths, each of them once, in a fixed order."""
    if not _TRAFFIC.exists():
        return tuple(_made_up(number) for number in range(_MADE_UP))
    with _TRAFFIC.open(newline="") as file:
        return tuple(dict.fromkeys(_path(row) for row in csv.DictReader(file)))


def describe() -> str:
    """Return where the paths come from, in one sentence."""
    if _TRAFFIC.exists():
        return f"Paths of pages are those of {len(paths()):,} products in real shop traffic."
    return "Paths of pages are made up: the real shop traffic in ../shared/datasets is absent."


def _path(row: dict[str, str]) -> str:
    category = (row["category_code"] or "other").replace(".", "/")
    return f"/{category}/{row['brand'] or 'none'}-{row['product_id']}"


def _made_up(number: int) -> str:
    category = _CATEGORIES[number % len(_CATEGORIES)]
    brand = _BRANDS[number * number % len(_BRANDS)]
    return f"/{category}/{brand}-{1_000_000 + 7919 * number}"
