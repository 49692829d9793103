"""The command `replay`: what did not arrive is counted, and a bad line is named."""

import json
import socket

import pytest
from command_tools import Cli, text_file


def test_replay_counts_what_did_not_arrive(cli: Cli) -> None:
    """Exit code 1 where nobody listens."""
    line = json.dumps({"path": "/api/v1/interactions", "body": {}}) + "\n"
    with socket.socket() as unused:  # bound, so that nobody else takes it
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ended = cli("replay", text_file("day.ndjson", 2 * line), "--url", url)
    assert ended.code == 1
    assert ended.out.startswith("2 sent in ")


@pytest.mark.parametrize("text", ["not json\n", '{"body": {}}\n'])
def test_replay_names_a_line_it_cannot_read(cli: Cli, text: str) -> None:
    """Exit code 2."""
    ended = cli("replay", text_file("day.ndjson", text), "--url", "http://127.0.0.1:1")
    assert ended.code == 2
    assert "day.ndjson:1: " in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
