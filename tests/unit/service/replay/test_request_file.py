"""The file of a replay: which lines are requests, and the error that names the first bad one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.replay import request_file
from service.replay.request_file import ReplayFileError, Request, read_requests

PATH = "/api/v1/interactions"


def read(tmp_path: Path, text: str | bytes) -> list[Request]:
    path = tmp_path / "requests.ndjson"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_requests(path))


def test_lines_become_requests_in_order(tmp_path: Path) -> None:
    """A line gives path, headers and the body as JSON; blank lines are skipped."""
    lines = (
        '{"path": "/a?b=1", "headers": {"DNT": "1"}, "body": {"x": [1, "é"]}}\n'
        '\n  \r\n{"path": "/", "body": null}'
    )
    first, second = read(tmp_path, lines)
    assert (first.path, first.headers) == ("/a?b=1", {"DNT": "1"})
    assert json.loads(first.body) == {"x": [1, "é"]}
    assert second == Request("/", {}, b"null")


@given(body=st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text() | st.none()))
def test_any_json_body_survives(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, object]
) -> None:
    """The requests of the file are sent unchanged."""
    path = tmp_path_factory.mktemp("replay") / "one.ndjson"
    path.write_text(json.dumps({"path": PATH, "body": body}))
    (only,) = read_requests(path)
    assert json.loads(only.body) == body


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"path": "/", "body": {}', "not JSON"),
        (b"\xff", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"body": {}}', '"path" is missing'),
        ('{"path": "api", "body": {}}', '"path" must be a string that starts with "/"'),
        ('{"path": 1, "body": {}}', '"path" must be a string that starts with "/"'),
        ('{"path": "/a b", "body": {}}', '"path" must be ASCII without spaces'),
        ('{"path": "/a\\r\\nX: 1", "body": {}}', '"path" must be ASCII without spaces'),
        ('{"path": "/"}', '"body" is missing'),
        ('{"path": "/", "headers": [], "body": {}}', "must be an object of strings"),
        ('{"path": "/", "headers": {"a": 1}, "body": {}}', "must be an object of strings"),
        ('{"path": "/", "headers": {"a": "1\\n"}, "body": {}}', "HTTP does not allow"),
        ('{"path": "/", "headers": {"a b": "1"}, "body": {}}', "HTTP does not allow"),
        ('{"path": "/", "headers": {"a": "€"}, "body": {}}', "HTTP does not allow"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str | bytes, problem: str) -> None:
    """The error carries file, line and problem in one line; the line before it was read."""
    raw = line if isinstance(line, bytes) else line.encode()
    path = tmp_path / "bad.ndjson"
    path.write_bytes(b'{"path": "/", "body": {}}\n\n' + raw + b"\n")
    requests = read_requests(path)
    assert next(requests).path == "/"
    with pytest.raises(ReplayFileError) as caught:
        next(requests)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line above the limit is an error, and is not read whole."""
    monkeypatch.setattr(request_file, "LINE_BYTES_MAX", 40)
    with pytest.raises(ReplayFileError, match=r"requests\.ndjson:1: line is longer than 40"):
        read(tmp_path, json.dumps({"path": "/", "body": "x" * 100}))


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    """A file that cannot be opened is a ReplayFileError without a line number."""
    with pytest.raises(ReplayFileError, match="none: cannot be read: No such file") as caught:
        list(read_requests(tmp_path / "none"))
    assert caught.value.line is None
