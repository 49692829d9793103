"""Where visits come from: links of networks, searches, chats, a newsletter, and campaigns.

An app opens the links of its own network, any other browser those of all. A campaign runs for some
days, and some origins bring visitors who are more inclined to buy than others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from service.demo.shops import Shop
from service.demo.weighted import Weighted

BROWSER, INSTAGRAM, FACEBOOK = "browser", "instagram", "facebook"
WHATSAPP, TIKTOK = "whatsapp", "tiktok"
_CLICK_ID = "{id}"
_CLICK_ID_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True, slots=True)
class Origin:
    """A link to a shop: the query of the page that it opens, and the host that it is on.

    `interest` multiplies the probabilities of a contact and of a cart. `days_ago` are the first
    and last day of a campaign, before the end of the demo; `shops` are those that pay for it.
    """

    weight: float
    query: str = ""
    referrer: str | None = None
    interest: float = 1.0
    days_ago: tuple[int, int] | None = None
    shops: tuple[str, ...] = ()

    def runs(self, shop: Shop, days_ago: int) -> bool:
        """Return whether the link leads to a shop on a day."""
        if self.shops and shop.slug not in self.shops:
            return False
        return self.days_ago is None or self.days_ago[1] <= days_ago <= self.days_ago[0]

    def opened(self, rng: Random) -> str:
        """Return the query, with an id of this click if the network adds one."""
        if _CLICK_ID not in self.query:
            return self.query
        return self.query.replace(_CLICK_ID, "".join(rng.choices(_CLICK_ID_CHARS, k=24)))


RETURN = Origin(1, interest=2.0)
"""Of a visitor who typed the address in, having compared elsewhere."""


def _tagged(source: str, medium: str, campaign: str = "", content: str = "") -> str:
    tags = {"source": source, "medium": medium, "campaign": campaign, "content": content}
    return "&".join(f"utm_{name}={text}" for name, text in tags.items() if text)


_PAID = "paid_social"
_BIG = ("la-colmena", "cafe-marcala", "moda-catracha")
_ORIGINS: dict[str, tuple[Origin, ...]] = {
    BROWSER: (
        Origin(25, interest=1.3),
        Origin(24, "", "www.google.com", 1.1),
        Origin(2, "", "www.bing.com"),
        Origin(1, "", "duckduckgo.com"),
        Origin(8, f"fbclid={_CLICK_ID}", "l.facebook.com", 0.8),
        Origin(5, "", "l.instagram.com", 0.8),
        Origin(6, _tagged("whatsapp", "chat"), None, 1.7),
        Origin(2, "utm_source=chatgpt.com", "chatgpt.com", 1.5),
        Origin(1, "", "www.perplexity.ai", 1.4),
        Origin(3, "", "guia-catracha.example"),
        Origin(
            7,
            f"gclid={_CLICK_ID}&{_tagged('google', 'cpc', 'marca')}",
            "www.google.com",
            1.2,
            shops=_BIG,
        ),
        *(
            Origin(
                9,
                _tagged("boletin", "email", f"boletin-{number}"),
                None,
                1.9,
                (days_ago, days_ago - 2),
                ("la-colmena", "cafe-marcala"),
            )
            for number, days_ago in enumerate((26, 19, 12, 5), start=1)
        ),
    ),
    INSTAGRAM: (
        Origin(50, _tagged("instagram", "bio"), "l.instagram.com"),
        Origin(25, "", "l.instagram.com", 0.7),
        Origin(
            70,
            f"{_tagged('instagram', _PAID, 'quincena', 'carrusel')}&fbclid={_CLICK_ID}",
            "l.instagram.com",
            0.9,
            (17, 12),
            _BIG,
        ),
        Origin(
            60,
            f"{_tagged('instagram', _PAID, 'temporada', 'video')}&fbclid={_CLICK_ID}",
            "l.instagram.com",
            1.2,
            (6, 0),
            _BIG,
        ),
    ),
    FACEBOOK: (
        Origin(50, f"fbclid={_CLICK_ID}", "m.facebook.com", 0.8),
        Origin(20, _tagged("facebook", "social", "pagina"), "m.facebook.com"),
        Origin(
            70,
            f"{_tagged('facebook', _PAID, 'quincena', 'foto')}&fbclid={_CLICK_ID}",
            "m.facebook.com",
            0.6,
            (17, 12),
            _BIG,
        ),
    ),
    WHATSAPP: (
        Origin(50, interest=1.8),
        Origin(30, _tagged("whatsapp", "estado", "catalogo"), None, 1.5),
    ),
    TIKTOK: (
        Origin(50, _tagged("tiktok", "social"), "www.tiktok.com", 0.5),
        Origin(
            80,
            f"{_tagged('tiktok', _PAID, 'lanzamiento')}&ttclid={_CLICK_ID}",
            "www.tiktok.com",
            0.4,
            (10, 4),
            _BIG,
        ),
    ),
}


@cache
def _running(app: str, shop: Shop, days_ago: int) -> Weighted[Origin]:
    running = [origin for origin in _ORIGINS[app] if origin.runs(shop, days_ago)]
    return Weighted(running, [origin.weight for origin in running])


def draw(app: str, shop: Shop, days_ago: int, rng: Random) -> Origin:
    """Return the origin of a visit to a shop by a browser or in an app."""
    return _running(app, shop, days_ago).draw(rng)
