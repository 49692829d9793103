"""The Host of a request (RFC 9112, 3.2): one field, uri-host [":" port].

Later code would raise errors for values that are rejected here, such as a port of thousands of
digits or a single bracket.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

# RFC 3986 allows a comma in a name, but here it would be the mark of two joined Host fields.
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[([0-9A-Fa-f:.]{2,45})\])(?::[0-9]{0,5})?")


def is_host(text: str) -> bool:
    """Return whether `text` is a valid value of Host; an empty one is valid."""
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
