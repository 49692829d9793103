"""Device, browser and operating system by the user agent, with the maintained rules of uap-core.

Only user agents of browsers have these fields; those of HTTP libraries, with which servers send
events, have none. A browser has one name on desktops, on phones and inside apps, because `device`
tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import ua_parser
from ua_parser import OS, Domain, UserAgent

from etl.channels.rules import Rules
from service.collector.context.text import stored
from service.collector.user_agents import CHARS_MAX, is_of_browser

_CACHED_MAX = 1024
_BROWSER_NAMES = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Opera Mobile": "Opera",
}
_WHATSAPP = "WhatsApp"
_SYSTEM_NAMES = {
    "Mac OS X": "macOS",
    **dict.fromkeys(("Debian", "Fedora", "Linux Mint", "Red Hat", "Ubuntu"), "Linux"),
}
_DESKTOPS = frozenset({"Windows", "macOS", "Linux", "Chrome OS", "FreeBSD", "OpenBSD"})
_TABLETS = ("iPad", "Tablet", "PlayBook", "Kindle")
_TELEVISIONS = ("TV", "AFT")


@dataclass(frozen=True, slots=True)
class Agent:
    """A user agent: the fields `device`, `browser` and `os`, and whether it is WhatsApp's."""

    fields: Mapping[str, str]
    is_whatsapp: bool


_NO_BROWSER = Agent({}, is_whatsapp=False)


class Agents:
    """The user agents that were seen last, each parsed once."""

    def __init__(self, rules: Rules) -> None:
        """Compile the rules of browsers and systems, which takes a tenth of a second and 10 MB.

        `rules` are those of channels.
        """
        self.rules = rules
        browsers, systems, _ = ua_parser.load_builtins()
        # Without the rules of devices, which tell makes and models, and are the largest part.
        self._resolver = ua_parser.BestAvailableResolver((browsers, systems, []))
        self._read_once = lru_cache(maxsize=_CACHED_MAX)(self._read)

    def of(self, user_agent: str) -> Agent:
        """Return the agent; only the first 512 characters of the text count."""
        if not is_of_browser(user_agent):
            return _NO_BROWSER
        found: Agent = self._read_once(user_agent[:CHARS_MAX])
        return found

    def _read(self, user_agent: str) -> Agent:
        parsed = self._resolver(user_agent, Domain.USER_AGENT | Domain.OS)
        system = _name(parsed.os, _SYSTEM_NAMES)
        is_whatsapp = self.rules.is_whatsapp(user_agent)
        names = {
            "device": _device(user_agent, system),
            "browser": _WHATSAPP if is_whatsapp else _name(parsed.user_agent, _BROWSER_NAMES),
            "os": system,
        }
        fields = {name: text for name, found in names.items() if found and (text := stored(found))}
        return Agent(fields, is_whatsapp)


def _name(parsed: OS | UserAgent | None, names: Mapping[str, str]) -> str | None:
    """Return the name of a system or browser; `names` has those that differ from uap-core's."""
    return names.get(parsed.family, parsed.family) if parsed else None


def _device(user_agent: str, system: str | None) -> str | None:
    """Return the kind of device; None for televisions, consoles and unknown devices."""
    if any(word in user_agent for word in _TELEVISIONS):
        return None
    if any(word in user_agent for word in _TABLETS):
        return "tablet"
    if system == "iOS" or "Mobi" in user_agent or "Opera Mini" in user_agent:
        return "phone"
    if system == "Android":
        return "tablet"
    return "desktop" if system in _DESKTOPS else None
