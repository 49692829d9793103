"""Every setting of beaconlog, in one frozen value.

A setting is a key of `beaconlog.toml`, an environment variable `BEACONLOG_<KEY>` and, for some,
a flag: flag over environment over file over default. What is written means the same wherever it
is written: numbers may be text, sizes may carry a binary unit (64MiB).

Invariants:

- A `Settings` made by `load` is valid: later code checks nothing again.
- Nothing is ignored: an unknown key or a bad value is an error, even where a stronger source
  overrides it. The error is one line that names the source, the key and what is expected; it
  never repeats the value, which may be a secret.
- Each field carries its documentation; `describe` lists it.
"""

import difflib
import ipaddress
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

ENVIRONMENT_PREFIX = "BEACONLOG_"
CONFIG_VARIABLE = "BEACONLOG_CONFIG"
DEFAULT_FILE = Path("beaconlog.toml")
TOKEN_CHARS_MIN = 16

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30
_UNITS = {None: 1, "KiB": _KIB, "MiB": _MIB, "GiB": _GIB}


class SettingsError(Exception):
    """A setting that stops the start. Its text is one line, fit for the operator."""

    def __init__(self, message: str) -> None:
        """Keep `message` on one line, whatever file name or key it quotes."""
        super().__init__(" ".join(message.splitlines()))


@dataclass(frozen=True, slots=True)
class _Kind(Generic[T]):
    """What a value may be: `parse` raises ValueError, `expected` then tells the operator."""

    expected: str
    parse: Callable[[object], T]


def _to_text(raw: object, pattern: str) -> str:
    if isinstance(raw, str) and re.fullmatch(pattern, raw, re.ASCII | re.DOTALL):
        return raw
    raise ValueError


def _to_path(raw: object) -> Path:
    return raw if isinstance(raw, Path) else Path(_to_text(raw, r".*\S.*"))


def _to_bool(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    return _to_text(raw, "true|false") == "true"


def _to_int(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise ValueError
    return int(raw)


def _to_number(raw: object) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError
    return float(raw) if isinstance(raw, str) else raw


def _to_bytes(raw: object) -> int:
    if not isinstance(raw, str):
        return _to_int(raw)
    size = re.fullmatch(r"(\d+) ?([KMG]iB)?", raw, re.ASCII)
    if size is None:
        raise ValueError
    return int(size[1]) * _UNITS[size[2]]


def _to_networks(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",")] if raw else []
    if not isinstance(raw, list | tuple):
        raise ValueError
    networks = tuple(_to_text(item, ".+") for item in raw)
    for network in networks:
        ipaddress.ip_network(network)
    return networks


def _within(value: int | float, least: float, most: float) -> int | float:
    if not least <= value <= most:  # also refuses NaN
        raise ValueError
    return value


def _text(pattern: str, expected: str) -> _Kind[str]:
    return _Kind(expected, lambda raw: _to_text(raw, pattern))


def _choice(*names: str) -> _Kind[str]:
    return _text("|".join(names), "one of " + ", ".join(names))


def _integer(least: int, most: int) -> _Kind[int]:
    expected = f"an integer from {least} to {most}"
    return _Kind(expected, lambda raw: int(_within(_to_int(raw), least, most)))


def _bytes(least: int) -> _Kind[int]:
    expected = f"a size of at least {least} bytes, such as 65536, 512KiB, 64MiB or 1GiB"
    return _Kind(expected, lambda raw: int(_within(_to_bytes(raw), least, 2**50)))


def _number(unit: str, least: float, most: float) -> _Kind[float]:
    expected = f"a number of {unit} from {least:g} to {most:.0f}"
    return _Kind(expected, lambda raw: float(_within(_to_number(raw), least, most)))


_HOST = _text(r"\S+", "a host name or address")
_PORT = _integer(0, 65535)
_SQL = _text(r"(.*\S.*)?", "a SQL query as text")
_RATE = _text(
    r"off|[1-9]\d{0,8}/(s|sec|second|min|minute|h|hour) burst [1-9]\d{0,8}",
    "off, or a rate such as 600/min burst 120 (per s, min or h)",
)
_BYTES_RATE = _text(
    r"off|[1-9]\d{0,8}([KMG]iB)?/(s|sec|second|min|minute|h|hour) burst [1-9]\d{0,8}([KMG]iB)?",
    "off, or a rate of bytes such as 4MiB/min burst 2MiB (per s, min or h)",
)
_POSITIVE_S = _number("seconds", 0.001, 10**9)
_SECONDS = _number("seconds", 0, 10**9)
_UP_TO_A_DAY_S = _number("seconds", 0, 86_400)


def _setting(default: T, kind: _Kind[T], doc: str, *, secret: bool = False) -> T:
    return field(default=default, repr=not secret, metadata={"kind": kind, "doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, with their defaults. `load` makes one from what the operator wrote."""

    data: Path = _setting(  # noqa: RUF009 - a Path never changes
        Path("data"),
        _Kind("a folder", _to_path),
        "Folder of all that is stored; relative to the current one.",
    )
    host: str = _setting("0.0.0.0", _HOST, "Address of the public port.")  # noqa: S104 - public
    port: int = _setting(8080, _PORT, "Public port; 0 takes any free one.")
    workers: int = _setting(1, _integer(1, 64), "Collector processes on the public port.")
    reports_host: str = _setting(
        "127.0.0.1",
        _HOST,
        "Address the private port is bound to; other than loopback needs `reports_token`.",
    )
    reports_port: int = _setting(8081, _PORT, "Private port; 0 takes any free one.")
    reports_token: str = _setting(
        "",
        _text("[!-~]*", "printable ASCII without blanks"),
        "Bearer token the private port asks for, of 16 characters at least beyond loopback; empty "
        "asks for none until a token was made.",
        secret=True,
    )
    reports_open: bool = _setting(
        default=False,
        kind=_Kind("true or false", _to_bool),
        doc="Answer this machine without a token even after tokens were made; loopback only.",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        _Kind("addresses or CIDR networks, as an array or separated by commas", _to_networks),
        "Proxies whose X-Forwarded-For is believed: addresses or CIDR networks.",
    )
    directory_url: str = _setting(
        "",
        _text(r"(\w+(\+\w+)?://.*)?", "a database URL such as postgresql+psycopg://host/shop"),
        "SQLAlchemy URL of the tenants and products; empty is `directory.db` under `data`.",
        secret=True,
    )
    directory_tenants_query: str = _setting(
        "", _SQL, "SQL giving id, uuid, slug, name, status; empty reads the table `tenants`."
    )
    directory_products_query: str = _setting(
        "", _SQL, "SQL giving id, tenant_id, name, price; empty reads the table `products`."
    )
    directory_refresh_s: float = _setting(
        20.0, _POSITIVE_S, "Seconds between two readings of the directory."
    )
    throttle_api: str = _setting(
        "600/min burst 120", _RATE, "Rate a client IP may track at; `off` for no limit."
    )
    throttle_tenant_aware: str = _setting(
        "6000/min burst 1200", _RATE, "Rate of interactions of one tenant; `off` for no limit."
    )
    throttle_address: str = _setting(
        "1200/min burst 240",
        _RATE,
        "Rate of interactions of one client IP, the share of a tenant's that it can take; `off` "
        "for no limit.",
    )
    throttle_address_bytes: str = _setting(
        "4MiB/min burst 2MiB",
        _BYTES_RATE,
        "Rate of bytes of one client IP, over all endpoints; `off` for no limit.",
    )
    throttle_tenant_bytes: str = _setting(
        "20MiB/min burst 10MiB",
        _BYTES_RATE,
        "Rate of bytes of one tenant, over all endpoints; `off` for no limit.",
    )
    segment_bytes_max: int = _setting(
        64 * _MIB, _bytes(4 * _KIB), "Size at which a log segment is sealed."
    )
    segment_age_s: float = _setting(
        2.0, _POSITIVE_S, "Seconds after its first line at which a log segment is sealed."
    )
    compact_interval_s: float = _setting(60.0, _POSITIVE_S, "Seconds between two compactions.")
    compact_bytes_max: int = _setting(
        256 * _MIB, _bytes(1), "Segments one pass of a compaction takes; a backlog takes several."
    )
    segment_grace_s: float = _setting(
        900.0, _SECONDS, "Seconds a compacted segment is kept before it is deleted."
    )
    maintain_interval_s: float = _setting(
        3600.0, _POSITIVE_S, "Seconds between two runs of maintenance."
    )
    retention_days: int = _setting(
        0, _integer(0, 36500), "Days of receipt that are kept; 0 keeps all."
    )
    rejected_retention_days: int = _setting(
        30,
        _integer(0, 36500),
        "Days of receipt for which rejected payloads are kept; 0 keeps them for `retention_days`.",
    )
    snapshot_retention_hours: int = _setting(
        24, _integer(1, 8760), "Hours for which an older version of the lake can still be read."
    )
    occurred_past_max_days: float = _setting(
        7.0,
        _number("days", 0, 36500),
        "Days a client's timestamp may lie in the past; large for a back-fill.",
    )
    occurred_future_max_s: float = _setting(
        300.0, _UP_TO_A_DAY_S, "Seconds a client's timestamp may lie in the future."
    )
    disk_free_bytes_min: int = _setting(
        64 * _MIB, _bytes(0), "Free disk space below which events are refused; 0 never refuses."
    )
    body_bytes_max: int = _setting(
        64 * _KIB, _bytes(1), "Largest request body, counted after decompression."
    )
    rejected_bytes_per_min_max: int = _setting(
        16 * _MIB,
        _bytes(0),
        "Rejected payloads a worker stores in a minute, an eighth of them from one client IP; the "
        "rest is dropped.",
    )
    http_server: str = _setting(
        "fast",
        _choice("fast", "tornado"),
        "Server of the public port: ours on httptools, or Tornado's own.",
    )
    heartbeat_timeout_s: float = _setting(
        10.0,
        _number("seconds", 2, 86_400),
        "Seconds without a sign of life after which a worker is replaced; the warehouse has three "
        "times as long.",
    )
    connections_max: int = _setting(
        1024, _integer(1, 1_000_000), "Connections a worker holds at once."
    )
    report_timeout_s: float = _setting(
        30.0, _POSITIVE_S, "Seconds after which a report's query is interrupted."
    )
    report_memory_bytes_max: int = _setting(
        _GIB, _bytes(128 * _MIB), "Memory the queries of reports may take."
    )
    log_format: str = _setting("text", _choice("text", "json"), "Form of the logs on stderr.")
    log_level: str = _setting(
        "info", _choice("debug", "info", "warning", "error"), "Least severity that is logged."
    )

    @property
    def directory_url_or_default(self) -> str:
        """The directory's database: `directory_url`, or SQLite's file under `data`."""
        return self.directory_url or f"sqlite:///{self.data}/directory.db"


_KINDS: Mapping[str, _Kind[Any]] = {one.name: one.metadata["kind"] for one in fields(Settings)}


class Described(NamedTuple):
    """A setting for documentation; `default` as it is written in the file."""

    key: str
    env: str
    default: str
    doc: str


def describe() -> list[Described]:
    """List every setting, in the order of the fields."""
    return [
        Described(
            one.name,
            _environment_name(one.name),
            _written(one.name, one.default),
            one.metadata["doc"],
        )
        for one in fields(Settings)
    ]


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None
) -> Settings:
    """Merge the sources into valid settings.

    `flags` is keyed by setting; a value of None is an absent flag. Without `file`, the one named
    by BEACONLOG_CONFIG is read, else `beaconlog.toml` in the current folder where there is one.
    Raises SettingsError at the first unknown key, bad value or unreadable file.
    """
    if file is None and CONFIG_VARIABLE in environment:
        file = _named_file(environment[CONFIG_VARIABLE])
    values: dict[str, Any] = {}
    for source in (_from_file(file), _from_environment(environment), _from_flags(flags)):
        values |= {key: _parsed(source, key, raw) for key, raw in source.values.items()}
    settings = Settings(**values)
    _refuse_an_open_port(settings)
    return settings


def _named_file(text: str) -> Path:
    if not text.strip():
        raise SettingsError(f"environment {CONFIG_VARIABLE}: is empty; unset it, or name a file")
    return Path(text)


def _refuse_an_open_port(settings: Settings) -> None:
    token = settings.reports_token
    if settings.reports_open and token:
        raise SettingsError("reports_open and reports_token exclude each other")
    if _is_loopback(settings.reports_host):
        return
    if settings.reports_open:
        raise SettingsError("reports_open needs a reports_host that is a loopback address")
    if not token:
        raise SettingsError("reports_host is not a loopback address and needs reports_token")
    if len(token) < TOKEN_CHARS_MIN:
        raise SettingsError(
            "reports_host is not a loopback address: reports_token needs at least "
            f"{TOKEN_CHARS_MIN} characters, such as `openssl rand -hex 32` makes"
        )


class _Source(NamedTuple):
    """Raw values by key; `where` and `spell` name one as the operator wrote it."""

    where: str
    spell: Callable[[str], str]
    values: Mapping[str, object]


def _from_file(file: Path | None) -> _Source:
    path = file or DEFAULT_FILE
    where = f"file {path}: "
    try:
        found = file is not None or path.exists()
        table = tomllib.loads(path.read_text("utf-8")) if found else {}
    except OSError as error:
        raise SettingsError(f"{where}cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOML, UTF-8, or a number beyond Python's limit
        raise SettingsError(f"{where}not valid TOML: {error}") from error
    return _Source(where, str, table)


def _from_environment(environment: Mapping[str, str]) -> _Source:
    # Swapping the case, not lowering it, keeps BEACONLOG_port unknown.
    values = {
        name.removeprefix(ENVIRONMENT_PREFIX).swapcase(): text
        for name, text in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name != CONFIG_VARIABLE
    }
    if values.get("reports_token") == "":  # a shell variable that is not set opens nothing
        name = _environment_name("reports_token")
        raise SettingsError(f"environment {name}: is empty; unset it, or give a token")
    return _Source("environment ", _environment_name, values)


def _from_flags(flags: Mapping[str, object]) -> _Source:
    given = {key: raw for key, raw in flags.items() if raw is not None}
    return _Source("flag ", lambda key: "--" + key.replace("_", "-"), given)


def _parsed(source: _Source, key: str, raw: object) -> object:
    named = source.where + source.spell(key)
    if key not in _KINDS:
        near = difflib.get_close_matches(key.lower(), _KINDS, n=1)
        hint = f", did you mean {source.spell(near[0])}?" if near else ""
        raise SettingsError(f"{named}: unknown setting{hint}")
    try:
        return _KINDS[key].parse(raw)
    except ValueError:
        # Its text and its cause may hold the value.
        raise SettingsError(f"{named}: expected {_KINDS[key].expected}") from None


def _environment_name(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.swapcase()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _written(key: str, default: object) -> str:
    if isinstance(default, int) and "_bytes_" in key:
        unit = next(unit for unit in ("GiB", "MiB", "KiB") if default % _UNITS[unit] == 0)
        return json.dumps(f"{default // _UNITS[unit]}{unit}")
    return json.dumps(default, default=str)
