"""Text of a visitor on an operator's terminal: shown, and never obeyed."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from log_tools import Shop, event

from etl.directory.database import DirectoryDatabase
from etl.directory.entries import Tenant
from service.cli.escaping import escape
from service.logs import JsonFormatter, TextFormatter

ROOT = Path(__file__).parents[4]
EVIL = "a\x1b]0;title\x07\x1b[31mb\x9b2Jc\u202ed\u2066e\u200f\u061c\x7f\rf\u2028g\U000e0041"
DRIVES = {*map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0)])} | set(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\U000e0041"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose visitor, and whose name, drive terminals."""
    shop = Shop(tmp_path_factory.mktemp("data"))
    shop.seal(event(0, metadata={"source": EVIL}))
    database = DirectoryDatabase(shop.layout.directory_url)
    database.create_tables()
    database.upsert([Tenant(1, None, "la-colmena", EVIL, "active")], [])
    database.dispose()
    return shop.data


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "service", *words]


def on_a_terminal(*words: str) -> str:
    """All that the command shows there, stdout and stderr."""
    ours, theirs = pty.openpty()
    # A terminal of its own would write "\r\n" for "\n", and echo.
    with subprocess.Popen(
        command(*words), stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT
    ) as started:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert started.returncode == 0
    return shown.decode().replace("\r\n", "\n")


SHOWN = [
    ("report", "sources", "--format", "csv"),
    ("report", "sources", "--json"),
    ("report", "sources"),
    ("report", "shops"),
    ("directory", "list"),
    ("directory", "list", "--json"),
]


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_a_terminal_obeys_no_visitor(data: Path, words: tuple[str, ...]) -> None:
    """In every format. Progress is shown by the program's own sequences, which are left out."""
    shown = on_a_terminal(*words, "--data", str(data))
    for own in ("\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[1A", "\x1b[0m", "\x1b[1m", "\r"):
        shown = shown.replace(own, "")
    content = shown[shown.index("title") - 20 :]
    assert {char for char in content if char in DRIVES and char != "\x1b"} == set()
    assert "\x1b]" not in content
    assert "\x1b[31m" not in content


def test_a_pipe_gets_the_bytes(data: Path) -> None:
    """As the events have them."""
    done = subprocess.run(
        command("report", "sources", "--format", "csv", "--data", str(data)),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert EVIL.encode() in done.stdout


def test_json_stays_json() -> None:
    """With the same text in it."""
    text = json.dumps({"source": EVIL}, ensure_ascii=False)
    assert json.loads(escape(text)) == {"source": EVIL}
    assert not set(escape(text)) & DRIVES


def test_what_drives_nothing_is_left() -> None:
    """Letters of any script, emoji with their joiners, tabs and line ends."""
    text = "Ñandú\t\u05d0\u05d1 \U0001f468\u200d\U0001f469 caf\u00e9\n"
    assert escape(text) == text


@pytest.mark.parametrize("formatter", [TextFormatter("test"), JsonFormatter("test")])
def test_a_log_line_is_one_line_that_drives_nothing(formatter: logging.Formatter) -> None:
    """Whatever it quotes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    record = logging.makeLogRecord(
        {"msg": f"said {EVIL}\nforged", "fields": {"why": f"{EVIL}\nforged", EVIL: [EVIL]}}
    )
    handler.handle(record)
    assert not set(stream.getvalue().removesuffix("\n")) & (DRIVES | {"\n"})
