"""The file of a replay: NDJSON, one request per line, each sent as a POST with a JSON body.

    {"path": "/api/v1/...", "headers": {"name": "value", ...}, "body": {...}}

`headers` is optional; blank lines are skipped.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

LINE_BYTES_MAX = 4 * 1024 * 1024

TARGET = re.compile(r"/[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class Request:
    """One POST. `path` and `headers` must be valid HTTP; `read_requests` checks those of a file."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class ReplayFileError(Exception):
    """The file, or one of its lines, cannot be replayed. `line` is None if the file is at fault."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        """Name the line by its number from 1, with blank lines counted."""
        super().__init__(f"{path}: {problem}" if line is None else f"{path}:{line}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem


def read_requests(path: Path) -> Iterator[Request]:
    """Yield the requests of an NDJSON file in order, without reading ahead.

    Raises ReplayFileError for a file that cannot be read, and for the first line that is not a
    request.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), start=1):
                if line.strip():
                    try:
                        yield _parse(line)
                    except _LineError as error:
                        raise ReplayFileError(path, number, str(error)) from None
    except OSError as error:
        raise ReplayFileError(path, None, f"cannot be read: {error.strerror}") from error


class _LineError(Exception):
    """The reason why a line is not a request."""


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of the file. A line over the limit is cut above it; `_parse` rejects it."""
    return iter(lambda: file.readline(LINE_BYTES_MAX + 1), b"")


def _parse(line: bytes) -> Request:
    if len(line) > LINE_BYTES_MAX:
        raise _LineError(f"line is longer than {LINE_BYTES_MAX} bytes")
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _LineError("not JSON") from None
    if not isinstance(fields, dict):
        raise _LineError("not a JSON object")
    if "body" not in fields:
        raise _LineError('"body" is missing')
    return Request(
        _path(fields.get("path")), _headers(fields.get("headers", {})), orjson.dumps(fields["body"])
    )


def _path(path: object) -> str:
    if path is None:
        raise _LineError('"path" is missing')
    if not isinstance(path, str) or not path.startswith("/"):
        raise _LineError('"path" must be a string that starts with "/"')
    if not TARGET.fullmatch(path):
        raise _LineError('"path" must be ASCII without spaces; percent-encode other characters')
    return path


def _headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, dict) or not all(isinstance(v, str) for v in headers.values()):
        raise _LineError('"headers" must be an object of strings')
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise _LineError('"headers" holds a name or value that HTTP does not allow')
    return headers
