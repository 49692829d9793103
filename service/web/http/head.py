"""Check the head of a request for violations of RFC 9112 that llhttp accepts.

llhttp accepts a missing or repeated Host, transfer codings other than chunked, HTTP/0.9 and 2.0,
and lengths of any number of digits; these functions reject them.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.web.http.exchange import RequestHead
from service.web.http.host import is_host
from service.web.http.limits import DISCARDED_BYTES_MAX, LENGTH_DIGITS_MAX


class BadRequest(Exception):
    """The input is not a valid HTTP/1.0 or HTTP/1.1 request."""


def by_name(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return values by lower-case name, without surrounding blanks; join repeated fields."""
    headers = {name.lower(): value.strip() for name, value in fields}
    if len(headers) == len(fields):
        return headers
    joined: dict[bytes, bytes] = {}
    for field, value in fields:
        name = field.lower()
        joined[name] = joined[name] + b"," + value.strip() if name in joined else value.strip()
    return joined


def check(version: str, headers: Mapping[bytes, bytes]) -> None:
    """Raise BadRequest if the version, Host or Transfer-Encoding is invalid."""
    host = headers.get(b"host")
    if version not in ("1.0", "1.1") or (host is None and version == "1.1"):
        raise BadRequest
    if host and not is_host(host.decode("latin-1")):
        raise BadRequest
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise BadRequest


def content_length(headers: Mapping[bytes, bytes]) -> int:
    """Return the Content-Length in bytes; 0 if there is none. Raises BadRequest."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > LENGTH_DIGITS_MAX:
        raise BadRequest
    return int(declared)


def expects_continue(head: RequestHead) -> bool:
    """Return whether the client waits for `100 Continue` before a body that will be read."""
    return (
        head.headers.get(b"expect", b"").lower() == b"100-continue"
        and head.version == "1.1"
        and head.content_length <= DISCARDED_BYTES_MAX
    )
