"""The demo's shoppers: their addresses, browsers, wishes for privacy and favourite shops.

Some return, some ask not to be tracked, a few are crawlers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from random import Random

from service.demo import countries
from service.demo.origins import BROWSER, FACEBOOK, INSTAGRAM, TIKTOK, WHATSAPP
from service.demo.shops import Shop
from service.demo.street import OPEN_SHOPS
from service.demo.weighted import Weighted

_SHOPPERS_REMEMBERED_MAX = 2_000
_P_RETURNING = 0.25
_P_BOT = 0.01  # of shoppers; crawlers view more, so about 2 % of the beacons
_P_DO_NOT_TRACK = 0.05
_P_GLOBAL_PRIVACY_CONTROL = 0.04
_DO_NOT_TRACK, _GLOBAL_PRIVACY_CONTROL = "DNT", "Sec-GPC"

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15"
_IPHONE_17 = _IPHONE.format("17_6_1")
_IPHONE_18 = _IPHONE.format("18_5")
_PHONE_WEBVIEW = f"{_WEBKIT} Version/4.0 Chrome/137.0.7151.115 Mobile Safari/537.36"
_A155 = "Mozilla/5.0 (Linux; Android 14; SM-A155M Build/UP1A.231005.007; wv)"
_REDMI = "Mozilla/5.0 (Linux; Android 13; 23053RN02A Build/TP1A.220624.014; wv)"
# Pairs of user agent and the app that it belongs to.
_BROWSERS = Weighted(
    (
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36",
            BROWSER,
        ),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
            BROWSER,
        ),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0"
            " Mobile Safari/537.36",
            BROWSER,
        ),
        (f"{_A155} {_PHONE_WEBVIEW} Instagram 386.0.0.45.84 Android", INSTAGRAM),
        (f"{_REDMI} {_PHONE_WEBVIEW} [FB_IAB/FB4A;FBAV/517.0.0.48.109;]", FACEBOOK),
        (f"{_REDMI} {_PHONE_WEBVIEW} WA4A/2.25.20.79", WHATSAPP),
        (f"{_A155} {_PHONE_WEBVIEW} musical_ly_2024008030 BytedanceWebview/d8a21c6", TIKTOK),
        (f"{_IPHONE_18} (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", BROWSER),
        (
            f"{_IPHONE_17} (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
            BROWSER,
        ),
        (f"{_IPHONE_18} (KHTML, like Gecko) Mobile/15E148 Instagram 385.0.0.33.74", INSTAGRAM),
        (
            f"{_IPHONE_18} (KHTML, like Gecko) CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1",
            BROWSER,
        ),
        (
            f"Mozilla/5.0 (Linux; Android 13; SM-X200) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36",
            BROWSER,
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36",
            BROWSER,
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36"
            " Edg/138.0.0.0",
            BROWSER,
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
            BROWSER,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
            " (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
            BROWSER,
        ),
    ),
    (26, 9, 8, 9, 7, 6, 4, 11, 4, 5, 3, 3, 9, 4, 2, 3),
)
_CRAWLERS = Weighted(
    (
        (
            f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_WEBKIT}"
            " Chrome/138.0.7204.49 Mobile Safari/537.36"
            " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            BROWSER,
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", BROWSER),
    ),
    (3, 1),
)
_SHOPS = Weighted.zipf(OPEN_SHOPS)


@dataclass(frozen=True, slots=True)
class Shopper:
    """A person or a crawler. `wish` is the header that asks for privacy, if any."""

    favourite: Shop
    user_agent: str
    app: str
    country: str
    number: int
    wish: str | None
    is_crawler: bool

    @property
    def wants_no_trace(self) -> bool:
        """Whether the tracker stores nothing on the device."""
        return self.wish == _GLOBAL_PRIVACY_CONTROL

    def address_on(self, day: date) -> str:
        """Return the address of a day: a network gives a phone another one every day."""
        of_day = Random(self.number << 20 | day.toordinal())  # noqa: S311 - repeatable, no secret
        return countries.address(self.country, of_day)

    def headers(self, shop: Shop, address: str) -> Mapping[str, str]:
        """Return the headers that a page of the shop sends from an address."""
        headers = {
            "X-Forwarded-For": address,
            "User-Agent": self.user_agent,
            "Origin": f"https://{shop.slug}.example",
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "cors",
        }
        return headers | {self.wish: "1"} if self.wish else headers


class Crowd:
    """The recent shoppers, some of whom return."""

    def __init__(self, rng: Random) -> None:
        """Start with nobody."""
        self._rng = rng
        self._recent: list[Shopper] = []

    def next_shopper(self) -> Shopper:
        """Return a recent shopper or a new one."""
        if self._recent and self._rng.random() < _P_RETURNING:
            return self._rng.choice(self._recent)
        shopper = self._new_shopper()
        if len(self._recent) < _SHOPPERS_REMEMBERED_MAX:
            self._recent.append(shopper)
        else:
            self._recent[self._rng.randrange(_SHOPPERS_REMEMBERED_MAX)] = shopper
        return shopper

    def _new_shopper(self) -> Shopper:
        rng = self._rng
        is_crawler = rng.random() < _P_BOT
        user_agent, app = (_CRAWLERS if is_crawler else _BROWSERS).draw(rng)
        return Shopper(
            favourite=_SHOPS.draw(rng),
            user_agent=user_agent,
            app=app,
            country="US" if is_crawler else countries.draw(rng),
            number=rng.getrandbits(32),
            wish=None if is_crawler else _wish(rng),
            is_crawler=is_crawler,
        )


def _wish(rng: Random) -> str | None:
    wish = rng.random()
    if wish < _P_DO_NOT_TRACK:
        return _DO_NOT_TRACK
    if wish < _P_DO_NOT_TRACK + _P_GLOBAL_PRIVACY_CONTROL:
        return _GLOBAL_PRIVACY_CONTROL
    return None
