"""The fields of a request's head: found by name, and refused where RFC 9112 says so.

What is refused here llhttp lets pass: a missing or second Host, a coding other than chunked,
HTTP/0.9 and 2.0, a length of more digits than a length has.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.web.http.host import is_host
from service.web.http.limits import LENGTH_DIGITS_MAX


class BadRequest(Exception):
    """What is parsed is not a request of HTTP/1.0 or 1.1."""


def by_name(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Values by lower-case name, without blanks around them; repeated ones joined by commas."""
    headers = {name.lower(): value.strip() for name, value in fields}
    if len(headers) == len(fields):
        return headers
    joined: dict[bytes, bytes] = {}
    for field, value in fields:
        name = field.lower()
        joined[name] = joined[name] + b"," + value.strip() if name in joined else value.strip()
    return joined


def check(version: str, headers: Mapping[bytes, bytes]) -> None:
    """Raises BadRequest for a request that is not to be read."""
    host = headers.get(b"host")
    if version not in ("1.0", "1.1") or (host is None and version == "1.1"):
        raise BadRequest
    if host and not is_host(host.decode("latin-1")):
        raise BadRequest
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise BadRequest


def content_length(headers: Mapping[bytes, bytes]) -> int:
    """The declared length of the body; 0 for none. Raises BadRequest."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > LENGTH_DIGITS_MAX:
        raise BadRequest
    return int(declared)
