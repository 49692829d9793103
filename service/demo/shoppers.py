"""The demo's shoppers: their addresses, browsers, wishes for privacy and favourite shops.

Some return, some ask not to be tracked, a few are crawlers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from service.demo.street import OPEN_SHOPS, Shop
from service.demo.weighted import Weighted

_SHOPPERS_REMEMBERED_MAX = 2_000
_P_RETURNING = 0.25
_P_BOT = 0.01  # of shoppers; crawlers view more, so about 2 % of the beacons
_P_DO_NOT_TRACK = 0.05
_P_GLOBAL_PRIVACY_CONTROL = 0.04

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15"
_IPHONE_18 = _IPHONE.format("18_5")
_BROWSERS = Weighted(
    (
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0"
        " Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 14; SM-A155M Build/UP1A.231005.007; wv) {_WEBKIT}"
        " Version/4.0 Chrome/137.0.7151.115 Mobile Safari/537.36 Instagram 386.0.0.45.84 Android",
        f"Mozilla/5.0 (Linux; Android 13; 23053RN02A Build/TP1A.220624.014; wv) {_WEBKIT}"
        " Version/4.0 Chrome/137.0.7151.89 Mobile Safari/537.36"
        " [FB_IAB/FB4A;FBAV/517.0.0.48.109;]",
        f"{_IPHONE_18} (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        f"{_IPHONE.format('17_6_1')} (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        f"{_IPHONE_18} (KHTML, like Gecko) Mobile/15E148 Instagram 385.0.0.33.74",
        f"{_IPHONE_18} (KHTML, like Gecko) CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36"
        " Edg/138.0.0.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
        " (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    ),
    (26, 9, 8, 9, 7, 11, 4, 5, 3, 9, 4, 2, 3),
)
_CRAWLERS = Weighted(
    (
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_WEBKIT}"
        " Chrome/138.0.7204.49 Mobile Safari/537.36"
        " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ),
    (3, 1),
)
_SHOPS = Weighted.zipf(OPEN_SHOPS)


@dataclass(frozen=True, slots=True)
class Shopper:
    """A person or a crawler, with the headers that it sends."""

    favourite: Shop
    headers: Mapping[str, str]
    is_crawler: bool


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
        browser = (_CRAWLERS if is_crawler else _BROWSERS).draw(rng)
        headers = {"X-Forwarded-For": _address(rng), "User-Agent": browser}
        if not is_crawler:
            headers |= _privacy_headers(rng)
        return Shopper(_SHOPS.draw(rng), headers, is_crawler)


def _address(rng: Random) -> str:
    """Return an address that belongs to nobody: private, or reserved for documentation."""
    kind = rng.random()
    if kind < 0.75:
        return f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    if kind < 0.95:
        return f"2001:db8:{rng.randrange(1, 65536):x}:{rng.randrange(1, 65536):x}::1"
    network = rng.choice(("192.0.2", "198.51.100", "203.0.113"))
    return f"{network}.{rng.randrange(1, 255)}"


def _privacy_headers(rng: Random) -> dict[str, str]:
    wish = rng.random()
    if wish < _P_DO_NOT_TRACK:
        return {"DNT": "1"}
    if wish < _P_DO_NOT_TRACK + _P_GLOBAL_PRIVACY_CONTROL:
        return {"Sec-GPC": "1"}
    return {}
