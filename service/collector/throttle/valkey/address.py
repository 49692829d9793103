"""The address of a Valkey or Redis server.

    valkey://[[user]:password@]host[:6379][/database]      also redis://
    valkeys://…                                            also rediss://, by TLS
    unix://[[user]:password@]/path/of/socket[?db=database]

A query may contain `ssl_ca_certs`, a file with the certificates to trust, for a server by TLS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

PORT = 6379

_PLAIN = frozenset({"valkey", "redis"})
_TLS = frozenset({"valkeys", "rediss"})
_UNIX = "unix"
_FORM = "valkey://:password@host:6379/0"


class AddressError(ValueError):
    """A URL is not the address of a server. The message is one line without any part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a server is, and how to log in. Its text and repr never contain the password."""

    host: str = ""
    port: int = PORT
    socket_path: str = ""
    """The path of a Unix socket, instead of host and port."""
    is_tls: bool = False
    ca_file: Path | None = None
    user: str = "default"
    password: str = field(default="", repr=False)
    database: int = 0

    def __str__(self) -> str:
        """Return the address for logs."""
        if self.socket_path:
            return f"unix://{self.socket_path}?db={self.database}"
        scheme = "valkeys" if self.is_tls else "valkey"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/{self.database}"

    @classmethod
    def parse(cls, url: str) -> ServerAddress:
        """Parse a URL. Raises AddressError."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError:  # without its cause: the text may contain the password
            raise _wrong("has a host or port that cannot be read") from None
        if parts.scheme not in {*_PLAIN, *_TLS, _UNIX}:
            raise _wrong(f"must look like {_FORM}")
        if parts.fragment:
            raise _wrong("has a #; write special characters of a password as %23 and the like")
        is_unix = parts.scheme == _UNIX
        if is_unix and (host or not parts.path.strip("/")):
            raise _wrong("must look like unix:///path/of/socket")
        if not is_unix and not host:
            raise _wrong(f"has no host; it must look like {_FORM}")
        query = _query(parts)
        return cls(
            host=host,
            port=PORT if port is None else port,
            socket_path=unquote(parts.path) if is_unix else "",
            is_tls=parts.scheme in _TLS,
            ca_file=_ca_file(parts, query),
            user=unquote(parts.username or "") or "default",
            password=unquote(parts.password or ""),
            database=_database("" if is_unix else parts.path.strip("/"), query.get("db")),
        )


def _wrong(what: str) -> AddressError:
    return AddressError(f"throttle_url {what}")


def _query(parts: SplitResult) -> dict[str, str]:
    query = parse_qs(parts.query, keep_blank_values=True)
    if not query.keys() <= {"db", "ssl_ca_certs"}:
        raise _wrong("has an unknown parameter; the known ones are db and ssl_ca_certs")
    if any(len(values) > 1 for values in query.values()):
        raise _wrong("has a parameter twice")
    return {name: value for name, (value,) in query.items()}


def _ca_file(parts: SplitResult, query: dict[str, str]) -> Path | None:
    if "ssl_ca_certs" not in query:
        return None
    if parts.scheme not in _TLS:
        raise _wrong("has ssl_ca_certs, which needs valkeys:// or rediss://")
    file = Path(query["ssl_ca_certs"])
    if not file.is_file():
        raise _wrong("has ssl_ca_certs, but that is no file")
    return file


def _database(in_path: str, in_query: str | None) -> int:
    if in_path and in_query is not None:
        raise _wrong("has the database twice: as path, and as db")
    text = in_path if in_query is None else in_query
    if not text and in_query is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise _wrong("has a database that is not a number")
    return int(text)
