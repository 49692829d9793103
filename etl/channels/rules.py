"""The rules of channels: read from rules.toml, and applied to the signs that an event stores.

A channel that follows from the stored signs can be derived again. Three do not: `whatsapp` by the
user agent, `internal` and `direct`. So they are given only to an event without a campaign and a
referrer, and `again` keeps them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

DIRECT, INTERNAL, WHATSAPP = "direct", "internal", "whatsapp"

_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gob", "gov", "net", "org"})


@dataclass(frozen=True, slots=True)
class Signs:
    """The stored signs of where a visit came from; None for an unknown one."""

    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    click_id: str | None = None

    @property
    def has_origin(self) -> bool:
        """Whether there is a campaign or a referrer."""
        return any(
            (
                self.referrer,
                self.utm_source,
                self.utm_medium,
                self.utm_campaign,
                self.utm_term,
                self.utm_content,
            )
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A channel, and the values of each condition; an empty condition always holds."""

    channel: str
    kinds: frozenset[str]
    mediums: frozenset[str]
    click_ids: frozenset[str]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> _Rule:
        conditions = (frozenset(written.get(name, ())) for name in ("kind", "medium", "click_id"))
        return cls(written["channel"], *conditions)

    def holds(self, kind: str | None, medium: str | None, click_id: str | None) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.mediums or medium in self.mediums)
            and (not self.click_ids or click_id in self.click_ids)
        )


class Rules:
    """One version of the rules."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        """Take the rules as they are written in rules.toml."""
        self.version: int = written["version"]
        kinds = written["kinds"].items()
        self._sources: dict[str, str] = {name: kind for kind, of in kinds for name in of["sources"]}
        self._hosts: dict[str, str] = {host: kind for kind, of in kinds for host in of["hosts"]}
        self._mediums = {name: medium for medium, of in written["mediums"].items() for name in of}
        self._rules = [_Rule.of(rule) for rule in written["rules"]]
        self._whatsapp_agents: tuple[str, ...] = tuple(written["agents"]["whatsapp"])

    @classmethod
    def load(cls) -> Rules:
        """Load the rules of this version of beaconlog."""
        return cls(tomllib.loads(files("etl.channels").joinpath("rules.toml").read_text()))

    @property
    def channels(self) -> frozenset[str]:
        """All channels that an event may get."""
        return frozenset({*(rule.channel for rule in self._rules), DIRECT, INTERNAL, WHATSAPP})

    def is_whatsapp(self, user_agent: str) -> bool:
        """Return whether the user agent is that of WhatsApp's own browser."""
        return any(part in user_agent for part in self._whatsapp_agents)

    def channel(self, signs: Signs, *, is_whatsapp: bool = False, is_internal: bool = False) -> str:
        """Return the channel of a visit.

        `is_whatsapp`: the user agent says so; `is_internal`: the shop's own site linked.
        """
        if is_whatsapp and not signs.has_origin:
            return WHATSAPP
        if signs.has_origin or signs.click_id:
            return self._by_signs(signs)
        return INTERNAL if is_internal else DIRECT

    def again(self, channel: str, signs: Signs) -> str:
        """Return the channel of a stored event; `channel` is the one by earlier rules."""
        if signs.has_origin or (signs.click_id and channel != WHATSAPP):
            return self._by_signs(signs)
        return channel

    def _by_signs(self, signs: Signs) -> str:
        source, medium = _lower(signs.utm_source), _lower(signs.utm_medium)
        kind = source and (self._sources.get(source) or self._kind_of_host(source))
        kind = kind or (signs.referrer and self._kind_of_host(signs.referrer))
        named = medium and self._mediums.get(medium)
        holding = (rule for rule in self._rules if rule.holds(kind, named, signs.click_id))
        return next(holding).channel

    def _kind_of_host(self, host: str) -> str | None:
        """Return the kind of the longest suffix that is listed, whole or with any domain."""
        labels = host.split(".")[-8:]
        if len(labels) < 2:
            return None
        for place in range(len(labels) - 1):
            if kind := self._hosts.get(".".join(labels[place:])):
                return kind
        has_second_level = len(labels) > 2 and labels[-2] in _SECOND_LEVELS
        name = labels[: -2 if has_second_level else -1]
        return self._hosts.get(f"={'.'.join(name)}.*") or self._hosts.get(f"{name[-1]}.*")


def _lower(text: str | None) -> str | None:
    return text and text.lower()
