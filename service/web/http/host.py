"""The Host of a request, as RFC 9112, 3.2 has it: one field, of uri-host [":" port].

Parsers behind it raise on what is refused here: a port of thousands of digits, a bracket alone.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

# The comma, which RFC 3986 allows in a name, is what a second field would be joined with.
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[([0-9A-Fa-f:.]{2,45})\])(?::[0-9]{0,5})?")


def is_host(text: str) -> bool:
    """Whether it may be the value of a Host field; the empty one may."""
    match = _HOST.fullmatch(text)
    if match is None:
        return False
    if match[1] is None:
        return True
    try:
        IPv6Address(match[1])
    except AddressValueError:
        return False
    return True
