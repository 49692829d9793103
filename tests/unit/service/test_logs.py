"""Logs: one line a record, whatever it holds, in text and in JSON."""

import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import logs

AT = 1795424617.123  # 2026-11-23T09:03:37.123Z
NOISY = ("apscheduler", "tornado.access", "tornado.general")


def record(
    message: str, *args: object, level: int = logging.INFO, **attributes: object
) -> logging.LogRecord:
    made = logging.LogRecord("shop", level, __file__, 1, message, args, None)
    made.created = AT
    made.__dict__.update(attributes)
    return made


def text(made: logging.LogRecord) -> str:
    return logs.TextFormatter("worker-0").format(made)


def parsed(made: logging.LogRecord) -> dict[str, object]:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    line = logs.JsonFormatter("worker-0").format(made)
    assert line.isascii()
    assert line.isprintable()
    read: dict[str, object] = json.loads(line, parse_constant=refuse)
    return read


@contextmanager
def configured(log_format: str = "text", log_level: str = "info") -> Iterator[io.StringIO]:
    """Configure logging for a moment, then give it back as it was."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers, root.level, io.StringIO()
    root.handlers = []
    try:
        logs.configure(log_format=log_format, log_level=log_level, role="warehouse", stream=stream)
        yield stream
    finally:
        logging.captureWarnings(capture=False)
        root.handlers = handlers
        root.setLevel(level)
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def failure() -> Callable[[str], tuple[object, ...]]:
    """Make the exc_info of an error with the given text."""

    def make(message: str) -> tuple[object, ...]:
        error = RuntimeError(message)
        return (RuntimeError, error, None)

    return make


def test_a_repeated_text_is_due_once_a_minute() -> None:
    """Another text is due at once, and so is the first one after it."""
    now_s = [1000.0]
    repeats = logs.Repeats(monotonic_s=lambda: now_s[0])
    assert [repeats.is_due(text) for text in "aabba"] == [True, False, True, False, True]
    now_s[0] += 59.9
    assert not repeats.is_due("a")
    now_s[0] += 0.1
    assert repeats.is_due("a")
    assert not repeats.is_due("a")


def test_text_line_reads_time_level_role_message_and_fields() -> None:
    """A text record is time in UTC, level, role, message, then key=value."""
    made = record("segment sealed", fields={"series": "h-w0-ab", "segment": 42})
    assert text(made) == (
        "2026-11-23T09:03:37.123Z INFO  worker-0 segment sealed series=h-w0-ab segment=42"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("data/log/a-w0", "data/log/a-w0"),
        ("two words", '"two words"'),
        ('a"b', '"a\\"b"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ("a\\b", '"a\\\\b"'),
        ("café del día", '"café del día"'),
        ("a\nb", '"a\\nb"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), '"NaN"'),
        ({"a": [1, "b c"]}, '{"a":[1,"b c"]}'),
        (ValueError("no luck"), '"no luck"'),
    ],
)
def test_text_quotes_values_that_are_not_one_word(value: object, written: str) -> None:
    """A field's value is bare when that is unambiguous, else quoted as in JSON."""
    assert text(record("m", fields={"k": value})).endswith(f" m k={written}")


def test_text_escapes_a_forged_line_in_a_message() -> None:
    """A newline in a message cannot begin a second record."""
    made = record("bad path %s", "/x\n2026-11-23T09:03:37.123Z INFO  worker-0 all well\r\x1b[2J")
    assert "\\n2026-11-23" in text(made)
    assert text(made).isprintable()


@given(st.text(), st.text(), st.text())
def test_text_is_one_printable_line_whatever_it_holds(message: str, key: str, value: str) -> None:
    """No text in a message, a field's name or its value makes a second line."""
    line = text(record("%s", message, fields={key: value, "nested": [value]}))
    assert line.isprintable()


@given(
    st.text(),
    st.dictionaries(st.text(), st.text() | st.floats() | st.integers() | st.binary()),
)
def test_json_is_valid_whatever_it_holds(message: str, fields: dict[str, object]) -> None:
    """A JSON record parses strictly, is one line, and is never replaced by its fields."""
    made = parsed(record("%s", message, fields=fields))
    assert made["role"] == "worker-0"
    assert made["level"] == "info"


def test_json_holds_the_record_and_its_fields() -> None:
    """A JSON record tells time, level, role, logger and message, then the fields."""
    made = parsed(record("disk is filling", level=logging.WARNING, fields={"free_bytes": 9}))
    assert made == {
        "at": "2026-11-23T09:03:37.123Z",
        "level": "warning",
        "role": "worker-0",
        "logger": "shop",
        "message": "disk is filling",
        "free_bytes": 9,
    }


def test_json_field_cannot_replace_the_records_own() -> None:
    """A field named like one of the record's own loses."""
    assert parsed(record("true", fields={"message": "forged", "level": "debug"}))["message"] == (
        "true"
    )


def test_json_keeps_a_lone_surrogate_out() -> None:
    """Half a character, which strict readers refuse, becomes a question mark."""
    assert parsed(record("name \ud800"))["message"] == "name ?"


def test_text_indents_a_traceback_below_its_record(
    failure: Callable[[str], tuple[object, ...]],
) -> None:
    """A traceback follows its record indented, so that its text cannot forge a record."""
    made = record("compaction failed", exc_info=failure("first\n2026 INFO forged\x1b"))
    head, *trace = text(made).splitlines()
    assert head.endswith("compaction failed")
    assert trace == ["    RuntimeError: first", "    2026 INFO forged\\x1b"]


def test_json_carries_a_traceback_as_a_field(
    failure: Callable[[str], tuple[object, ...]],
) -> None:
    """In JSON an exception stays within its record."""
    made = parsed(record("compaction failed", exc_info=failure("first\nsecond")))
    assert made["exception"] == "RuntimeError: first\nsecond"


def test_foreign_fields_attribute_is_left_alone() -> None:
    """A library's own `fields` that is no mapping does not break the record."""
    assert text(record("m", fields=["not", "ours"])).endswith(" m")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_configured_root_writes_one_line_a_record(log_format: str) -> None:
    """Every logger of the process writes to the stream, in the asked form."""
    with configured(log_format) as stream:
        logging.getLogger("some.library").info("two\nlines")
        logging.getLogger("some.library").debug("not asked for")
    assert stream.getvalue().count("\n") == 1
    assert "warehouse" in stream.getvalue()
    assert stream.getvalue().startswith("{") == (log_format == "json")


def test_configuring_again_replaces_the_handler() -> None:
    """A forked worker that configures its own role does not log twice."""
    with configured() as before:
        after = io.StringIO()
        logs.configure(log_format="text", log_level="info", role="worker-3", stream=after)
        logging.getLogger("shop").info("ready")
    assert before.getvalue() == ""
    assert re.fullmatch(r"\S+Z INFO  worker-3 ready\n", after.getvalue())


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("log_level", ["debug", "info"])
def test_noisy_libraries_speak_from_warning_up(name: str, log_level: str) -> None:
    """Lines that clients or the clock can repeat for ever are not logged at info and debug."""
    with configured(log_level=log_level) as stream:
        logging.getLogger(name).info("Malformed HTTP message")
        logging.getLogger(name).warning("worth reading")
    assert re.fullmatch(r"\S+ WARNING warehouse worth reading\n", stream.getvalue())


@pytest.mark.parametrize("name", [*NOISY, "shop"])
def test_level_error_silences_every_warning(name: str) -> None:
    """The asked level holds for noisy libraries too."""
    with configured(log_level="error") as stream:
        logging.getLogger(name).warning("not asked for")
    assert stream.getvalue() == ""


def test_warnings_are_logged_on_one_line() -> None:
    """A Python warning becomes a record."""
    with warnings.catch_warnings(), configured() as stream:
        warnings.simplefilter("always")
        warnings.warn("old\nways", UserWarning, stacklevel=1)
    assert re.fullmatch(r"\S+ WARNING warehouse .*UserWarning: old\\nways.*\n", stream.getvalue())


def test_unknown_level_is_refused() -> None:
    """A level that does not exist is an error, not silence."""
    with pytest.raises(ValueError, match="LOUD"), configured(log_level="loud"):
        pass
