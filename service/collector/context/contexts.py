"""The fields of a record for the context of an event. Fields without a value are left out.

The events of a visit share the query string and the referrer, and many visits share a user agent,
so each of these texts is parsed once while it is cached. The site of a page is compared with the
referrer before the look-up, so that visits of all shops share what is cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from etl.channels.rules import Signs
from service.collector.context import origin, text
from service.collector.context.agents import Agents
from service.collector.context.countries import Countries
from service.collector.contract.sent import SentContext

_CACHED_MAX = 2048
_CACHED_CHARS_MAX = 512


class Contexts:
    """The contexts of the events of one collector."""

    def __init__(self, agents: Agents, countries: Countries) -> None:
        self._agents = agents
        self._rules = agents.rules
        self._countries = countries
        self._host_once = lru_cache(maxsize=_CACHED_MAX)(origin.host)
        self._origin_once = lru_cache(maxsize=_CACHED_MAX)(self._origin)

    def fields(
        self, sent: SentContext | None, ip: str | None, user_agent: str, site: str | None = None
    ) -> Mapping[str, object]:
        """Return the fields of an event with this context, or without one; do not modify them.

        `ip` and `user_agent` are the visitor's; None and "" if they are not known. `site` is the
        site of the page, a URL as browsers send it in the header Origin. Without a page, a query
        string and a referrer (events of servers) there is no channel.
        """
        agent = self._agents.of(user_agent)
        country = self._countries.of(ip) if ip else None
        if sent is None:
            return {**agent.fields, "country": country} if country else agent.fields
        fields: dict[str, object] = {}
        if sent.path is not None and (path := text.path(sent.path)):
            fields["path"] = path
        query, referrer = sent.query or "", sent.referrer
        if query or fields or referrer is not None:
            if referrer and site and self._is_same_host(referrer, site):
                referrer = ""
            if len(query) + len(referrer or "") <= _CACHED_CHARS_MAX:
                found = self._origin_once(query, referrer, is_whatsapp=agent.is_whatsapp)
            else:
                found = self._origin(query, referrer, is_whatsapp=agent.is_whatsapp)
            fields.update(found)
        fields.update(agent.fields)
        if country:
            fields["country"] = country
        return fields

    def _is_same_host(self, referrer: str, site: str) -> bool:
        is_cached = len(referrer) + len(site) <= _CACHED_CHARS_MAX
        host_of = self._host_once if is_cached else origin.host
        host = host_of(referrer)
        return host is not None and host == host_of(site)

    def _origin(
        self, query: str, referrer: str | None, *, is_whatsapp: bool
    ) -> Mapping[str, object]:
        """Return the fields of the origin of a visit.

        `referrer` is None if no page linked to it, and "" if a page of the shop did.
        """
        found = origin.parameters(query)
        host = origin.host(referrer) if referrer else None
        if host is not None:
            found["referrer"] = host
        channel = self._rules.channel(
            Signs(**found), is_whatsapp=is_whatsapp, is_internal=referrer == ""
        )
        return {**found, "channel": channel, "channel_rules": self._rules.version}
