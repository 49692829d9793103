"""Structured logs: one line per record, readable by default, JSON by setting.

    log.info("segment sealed", extra={"fields": {"series": "h-w0-ab", "segment": 42}})

    2026-11-23T09:03:37.123Z INFO  worker-0 segment sealed series=h-w0-ab segment=42

Invariants:

- A record is one line, whatever it holds: characters that do not print are escaped, so that a
  client's text can neither forge a record nor control a terminal. Only a traceback follows on
  lines of its own, each indented, and only in text.
- JSON is always valid, and a field never replaces the record's own time, level, role or message.
- Times are UTC.

Our own, not structlog: its text renderers do not escape control characters in messages, records of
libraries pass through formatters of `logging` anyway, and its import adds 0.1 s to every command.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

# These loggers write every run of a job and every malformed request at level info.
_NOISY_LOGGERS = ("apscheduler", "tornado.access", "tornado.general")
_REPEATED_EVERY_S = 60.0


@dataclass(slots=True)
class Repeats:
    """The limit for a failure that every request meets: one line per minute, or a new text."""

    monotonic_s: Callable[[], float] = field(default=time.monotonic)
    _text: str | None = None
    _due_s: float = 0.0

    def is_due(self, text: str) -> bool:
        """Return whether to log the text now; if so, count it as logged."""
        now_s = self.monotonic_s()
        if text == self._text and now_s < self._due_s:
            return False
        self._text, self._due_s = text, now_s + _REPEATED_EVERY_S
        return True


def configure(*, log_format: str, log_level: str, role: str, stream: TextIO) -> None:
    """Send all logs and warnings of this process to `stream`, replacing earlier handlers.

    `log_format` is text or json, `log_level` the name of a level in any case, `role` names the
    process in each record. Raises ValueError for an unknown level.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(role) if log_format == "json" else TextFormatter(role))
    logging.basicConfig(level=log_level.upper(), handlers=[handler], force=True)
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    logging.captureWarnings(capture=True)


class TextFormatter(logging.Formatter):
    """Lines for people: time, level, role, message, then the fields as key=value."""

    def __init__(self, role: str) -> None:
        """`role` names the process."""
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, and below it the indented traceback if there is one."""
        message = record.getMessage().rstrip()
        head = [_at(record), f"{record.levelname:<5}", self._role, message]
        pairs = [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        lines = [_printable(" ".join(head + pairs))]
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            lines += ["    " + _printable(line) for line in trace]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """Lines for machines: one JSON object per record."""

    def __init__(self, role: str) -> None:
        """`role` names the process."""
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON; a traceback is its field `exception`."""
        own = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage().rstrip(),
        }
        if record.exc_info:
            own["exception"] = self.formatException(record.exc_info)
        # First for the order of the keys, and again because a field must not replace them.
        return _json({**own, **_fields(record), **own})


def _at(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _quoted(value: object) -> str:
    if value is None or isinstance(value, bool | int | float | dict | list | tuple):
        return _json(value)
    text = str(value)
    if text.isprintable():
        return text if re.fullmatch(r'[^\s"\\=]+', text) else json.dumps(text, ensure_ascii=False)
    return _json(text)


def _json(value: object) -> str:
    # Encoded twice, for values that JSON or UTF-8 cannot hold: NaN becomes text, and a lone
    # surrogate becomes "?".
    lenient = json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
    return json.dumps(json.loads(lenient, parse_constant=str), separators=(",", ":"))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
