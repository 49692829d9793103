"""500 browsers: the headers that each sends with an event, behind a proxy that ends TLS.

About a dozen headers each, together 450 to 800 bytes, all browsers different, in the
order and with the names of Chrome, Edge, Firefox, Safari, Samsung Internet, Facebook and Instagram.
Shares and devices are rough; the form of the headers is real.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

Headers: TypeAlias = Sequence[tuple[str, str]]

COUNT = 500
CONTENT_TYPE = ("Content-Type", "text/plain;charset=UTF-8")  # a request without a preflight
_LANGUAGES = (
    "es-HN,es-419;q=0.9,es;q=0.8,en;q=0.7",
    "es-419,es;q=0.9",
    "es-HN",
    "es-ES,es;q=0.9",
    "es-MX,es-419;q=0.9,es;q=0.8,en-US;q=0.7,en;q=0.6",
    "en-US,en;q=0.9",
    "en-US,en;q=0.9,es-419;q=0.8,es;q=0.7",
)
_ANDROIDS = (
    "SM-A145M",
    "SM-A546E",
    "SM-G991B",
    "moto g54 5G",
    "moto e(7) plus",
    "Redmi Note 12",
    "2201117TG",
    "TECNO KI5k",
    "Infinix X6833B",
    "CPH2591",
)
_SITE = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"))
_ZSTD, _BROTLI = "gzip, deflate, br, zstd", "gzip, deflate, br"


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser: `headers` do not depend on the page; `of_page` names the page's site."""

    address: str
    headers: Headers

    def of_page(self, site: str) -> Headers:
        """Return all headers of a request from a page of a site."""
        origin = (("Origin", f"https://{site}"), ("Referer", f"https://{site}/"))
        return (
            ("Host", "stats.example"),
            ("X-Forwarded-For", self.address),
            ("X-Forwarded-Proto", "https"),
            *self.headers,
            *origin,
        )


@cache
def every_browser() -> Sequence[Browser]:
    """Return the browsers, no two of them alike; the same each time."""
    chance = random.Random(500)
    families: Sequence[tuple[Callable[[random.Random], Headers], int]] = (
        (_chrome_android, 40),
        (_in_app, 20),
        (_safari, 15),
        (_chrome, 12),
        (_samsung, 6),
        (_edge, 4),
        (_firefox, 3),
    )
    kinds = chance.choices(*zip(*families, strict=True), k=COUNT)
    return [Browser(_address(number), kind(chance)) for number, kind in enumerate(kinds)]


def _address(number: int) -> str:
    return f"{181 + number % 9}.{115 + number % 7}.{number % 251}.{1 + number * 37 % 254}"


def _chromium(chance: random.Random, agent: str, brand: str, platform: str) -> Headers:
    """Return the headers of a browser on Chromium; `agent` has a place for the version."""
    version = chance.randrange(118, 147)
    mobile = "?1" if platform == "Android" else "?0"
    brands = f'"Chromium";v="{version}", "{brand}";v="{version}", "Not A(Brand";v="24"'
    return (
        ("sec-ch-ua-platform", f'"{platform}"'),
        ("User-Agent", agent.format(version=version)),
        ("sec-ch-ua", brands),
        CONTENT_TYPE,
        ("sec-ch-ua-mobile", mobile),
        ("Accept", "*/*"),
        *_SITE,
        ("Accept-Encoding", _ZSTD if version >= 123 else _BROTLI),
        ("Accept-Language", chance.choice(_LANGUAGES)),
        *((("DNT", "1"),) if chance.random() < 0.05 else ()),
        *((("Priority", "u=4, i"),) if version >= 124 else ()),
    )


def _chrome_android(chance: random.Random) -> Headers:
    return _chromium(
        chance,
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/{version}.0.0.0 Mobile Safari/537.36",
        "Google Chrome",
        "Android",
    )


def _samsung(chance: random.Random) -> Headers:
    own = chance.randrange(22, 29)
    return _chromium(
        chance,
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"SamsungBrowser/{own}.0 Chrome/{{version}}.0.0.0 Mobile Safari/537.36",
        "Samsung Internet",
        "Android",
    )


def _chrome(chance: random.Random) -> Headers:
    system, platform = chance.choice(
        (
            ("Windows NT 10.0; Win64; x64", "Windows"),
            ("Macintosh; Intel Mac OS X 10_15_7", "macOS"),
            ("X11; Linux x86_64", "Linux"),
        )
    )
    agent = (
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/{version}.0.0.0 Safari/537.36"
    )
    return _chromium(chance, agent, "Google Chrome", platform)


def _edge(chance: random.Random) -> Headers:
    agent = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/{version}.0.0.0 Safari/537.36 Edg/{version}.0.0.0"
    )
    return _chromium(chance, agent, "Microsoft Edge", "Windows")


def _in_app(chance: random.Random) -> Headers:
    android, build = chance.randrange(10, 16), chance.randrange(100, 990)
    app = chance.choice(
        (
            f"[FBAN/EMA;FBLC/es_LA;FBAV/{build}.0.0.10.{build % 97};]",
            f"[FB_IAB/FB4A;FBAV/{build}.0.0.37.{build % 97};IABMV/1;]",
            f"Instagram {build}.0.0.{build % 41}.109 Android ({android * 2 + 9}/{android}; 420dpi)",
        )
    )
    agent = (
        f"Mozilla/5.0 (Linux; Android {android}; {chance.choice(_ANDROIDS)} "
        f"Build/UP1A.{build}; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Version/4.0 Chrome/{{version}}.0.6099.{build} Mobile Safari/537.36 {app}"
    )
    return (
        *_chromium(chance, agent, "Android WebView", "Android"),
        ("X-Requested-With", "com.instagram.android" if "Insta" in app else "com.facebook.katana"),
    )


def _safari(chance: random.Random) -> Headers:
    major, minor = chance.randrange(15, 19), chance.randrange(0, 7)
    return (
        CONTENT_TYPE,
        ("Accept", "*/*"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Accept-Language", chance.choice(("es-419,es;q=0.9", "es-ES,es;q=0.9", "en-US,en;q=0.9"))),
        ("Accept-Encoding", _BROTLI),
        ("Sec-Fetch-Mode", "cors"),
        (
            "User-Agent",
            f"Mozilla/5.0 (iPhone; CPU iPhone OS {major}_{minor}_{chance.randrange(4)} like Mac OS "
            f"X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{major}.{minor} "
            "Mobile/15E148 Safari/604.1",
        ),
        ("Sec-Fetch-Dest", "empty"),
        ("Priority", "u=3, i"),
    )


def _firefox(chance: random.Random) -> Headers:
    version = chance.randrange(115, 146)
    systems = ("Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Android 14; Mobile")
    languages = ("es-MX,es;q=0.8,en-US;q=0.5,en;q=0.3", "en-US,en;q=0.5")
    agent = f"Mozilla/5.0 ({chance.choice(systems)}; rv:{version}.0) Gecko/20100101"
    private = (("DNT", "1"), ("Sec-GPC", "1")) if chance.random() < 0.5 else ()
    return (
        ("User-Agent", f"{agent} Firefox/{version}.0"),
        ("Accept", "*/*"),
        ("Accept-Language", chance.choice(languages)),
        ("Accept-Encoding", _ZSTD),
        CONTENT_TYPE,
        *private,
        *_SITE,
        ("Priority", "u=4"),
    )
