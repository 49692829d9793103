"""The person of an event: whose address and user agent it is about.

    a signed event whose context names an address or user agent   those: a shop's server passes them
    a conversion, sale or signed event without a browser's headers nobody: it is from a server
    any other event                                                those of the request

The address and user agent of a person are used for what is computed from them, and never stored.
"""

from __future__ import annotations

from typing import NamedTuple

from service.collector.client import address_of
from service.collector.contract.payload import SALES
from service.collector.intake.admission import Admitted

_OF_SERVERS = "conversion"
"""The endpoint to which servers of shops report, too."""


class Person(NamedTuple):
    """An address and a user agent; each is empty if it is not known.

    `is_visitor`: whether a visitor id can be made of them. A context must have both, because one
    alone would mix up people.
    """

    ip: str
    user_agent: str
    is_visitor: bool = True


def person_of(
    endpoint: str, admitted: Admitted, client: Person, *, is_browser: bool
) -> Person | None:
    """Return the person of an event; None for nobody.

    `client` is the person of the request; `is_browser`: the request has the headers of a browser.
    """
    payload = admitted.payload
    if admitted.signed:
        sent = payload.context
        if sent is not None and (sent.ip or sent.user_agent):
            ip, user_agent = address_of(sent.ip or "") or "", sent.user_agent or ""
            return Person(ip, user_agent, bool(ip and user_agent))
    elif endpoint != _OF_SERVERS and payload.type not in SALES:
        return client
    return client if is_browser else None
