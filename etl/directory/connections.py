"""Connections to the directory's database: the driver of a URL, its timeouts, its errors.

Invariants: with psycopg and PyMySQL, no call waits longer than CONNECT_TIMEOUT_S for a connection,
and no longer than QUERY_TIMEOUT_S for an answer, even if the server hangs; a message never holds a
password. The URL may set `connect_timeout` itself, and `read_timeout` for PyMySQL.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from etl.directory.entries import DirectoryUnavailable

CONNECT_TIMEOUT_S = 3
QUERY_TIMEOUT_S = 10
_BUSY_TIMEOUT_S = 10.0
_REASON_CHARS_MAX = 300
_CONNECTIONS_MAX = 3
"""One for the refresh and two for look-ups."""
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"psycopg": "postgresql", "pymysql": "mysql"}
# An abandoned query would go on in the server. Each server skips the other one's comment.
_END_QUERY = (
    f"SET /*M!100101 max_statement_time={QUERY_TIMEOUT_S} */"
    f"/*!50708 max_execution_time={QUERY_TIMEOUT_S * 1000} */"
)


def open_engine(url: str) -> sa.Engine:
    """Return the engine of a URL, without connecting; DirectoryUnavailable if there is none."""
    try:
        parsed = sa.make_url(url)
        parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
        if sqlite_file(parsed) is not None:
            # Without a pool, each connection opens the file again, also one that was replaced.
            options: dict[str, Any] = {
                "poolclass": sa.NullPool,
                "connect_args": {"timeout": _BUSY_TIMEOUT_S},
            }
        elif parsed.get_backend_name() == "sqlite":
            options = {}
        else:
            options = {"pool_pre_ping": True, "pool_size": _CONNECTIONS_MAX, "max_overflow": 0}
        engine = sa.create_engine(parsed, hide_parameters=True, **options)
    except ImportError as error:
        raise DirectoryUnavailable(_missing_driver(error.name or "")) from None
    except (SQLAlchemyError, ValueError):
        raise DirectoryUnavailable("the directory's URL is not a database URL") from None
    if is_server(parsed):
        sa.event.listen(engine, "do_connect", _connect)
    return engine


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file of an SQLite URL; None for any other."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name)


def is_server(url: sa.URL) -> bool:
    """Return whether a database of its own process answers at a URL."""
    return url.get_backend_name() != "sqlite"


def place(url: sa.URL) -> str:
    """Return a URL's database for a message."""
    at_server = f"{url.host or ''}/{url.database or ''}"
    return f"directory {sqlite_file(url) or at_server} ({url.get_backend_name()})"


def identity(url: sa.URL, *queries: str | None) -> str:
    """Return a digest by which two readers of the same data know each other; it hides the URL.

    The password does not count, so it may change.
    """
    return hashlib.sha256(repr((without_secrets(url), queries)).encode()).hexdigest()


def without_secrets(url: sa.URL) -> str:
    """Return a URL without its passwords."""
    secret = [key for key in url.query if "pass" in key]
    return url.difference_update_query(secret).render_as_string(hide_password=True)


def reason(url: sa.URL, error: Exception) -> str:
    """Return the cause of an error on one line, without the passwords of the URL."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = " ".join(str(cause).split())
    in_query = [value for key, value in url.query.items() if "pass" in key]
    for secret in filter(None, (url.password, *in_query)):
        text = text.replace(str(secret), "***")
    return text[:_REASON_CHARS_MAX]


def _connect(
    dialect: Dialect, _: object, arguments: list[Any], parameters: dict[str, Any]
) -> Any | None:
    """Connect with timeouts; None lets SQLAlchemy connect."""
    if dialect.driver == "psycopg":
        # Imported here: the embedded default needs no driver.
        from etl.directory.bounded_psycopg import connect  # noqa: PLC0415

        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        # Of a database in SQL_ASCII, psycopg returns bytes otherwise.
        parameters.setdefault("client_encoding", "utf8")
        return connect(QUERY_TIMEOUT_S, *arguments, **parameters)
    if dialect.driver == "pymysql":
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        parameters.setdefault("read_timeout", QUERY_TIMEOUT_S)
        parameters.setdefault("write_timeout", QUERY_TIMEOUT_S)
        parameters.setdefault("init_command", _END_QUERY)
    return None


def _missing_driver(driver: str) -> str:
    text = f"the driver {driver} for the directory's URL is not installed"
    if driver.lower() in _EXTRAS:
        text += f"; install beaconlog[{_EXTRAS[driver.lower()]}]"
    return text
