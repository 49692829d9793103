"""The commands `compact` and `check`: their outcome as JSON and in a line, and their exit codes."""

from command_tools import Cli
from log_tools import Shop, event


def test_compact_says_what_it_did(cli: Cli, shop: Shop) -> None:
    """As JSON: what scripts read."""
    ended = cli("compact", "--json", "--data", shop.data)
    assert ended.code == 0
    told = {key: ended.json[key] for key in ("segments", "lines", "rows", "duplicates", "rejected")}
    assert told == {"segments": 2, "lines": 4, "rows": 2, "duplicates": 1, "rejected": 1}
    assert isinstance(ended.json["version"], int)
    assert ended.json["stopped"] == []


def test_compacting_twice_changes_nothing(cli: Cli, shop: Shop) -> None:
    """The version stays."""
    first = cli("compact", "--json", "--data", shop.data).json
    second = cli("compact", "--json", "--data", shop.data).json
    assert (second["segments"], second["rows"], second["duplicates"]) == (0, 0, 0)
    assert second["version"] == first["version"]


def test_compact_speaks_in_a_line_to_people(cli: Cli, shop: Shop) -> None:
    """The same numbers."""
    ended = cli("compact", "--data", shop.data)
    assert ended.code == 0
    assert ended.out.startswith("2 segments, 4 lines: 2 rows, 1 duplicates, 1 rejected")


def test_compact_ends_with_1_where_a_series_is_damaged(cli: Cli, shop: Shop) -> None:
    """And says which and where; the others were compacted."""
    shop.seal(event(4), series="h-w1-bb")
    damaged = shop.sealed()[0].path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    ended = cli("compact", "--json", "--data", shop.data)
    assert ended.code == 1
    assert (ended.json["segments"], ended.json["rows"]) == (1, 1)
    [stopped] = ended.json["stopped"]
    assert (stopped["series"], stopped["segment"]) == ("h-w0-aa", 1)
    assert "h-w0-aa" in cli("compact", "--data", shop.data).err


def test_check_finds_nothing_wrong(cli: Cli, shop: Shop) -> None:
    """Before a compaction as after it."""
    for _ in range(2):
        ended = cli("check", "--json", "--data", shop.data)
        assert (ended.code, ended.json["ok"], ended.json["problems"]) == (0, True, [])
        assert ended.json["lines"] == 4
        assert cli("check", "--data", shop.data).out.endswith("all is well\n")
        shop.compact()


def test_check_ends_with_1_and_says_where(cli: Cli, shop: Shop) -> None:
    """A flipped bit is found, named by series, segment and byte."""
    path = shop.sealed()[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = cli("check", "--json", "--data", shop.data)
    assert (ended.code, ended.json["ok"]) == (1, False)
    problem = ended.json["problems"][0]
    assert (problem["series"], problem["segment"]) == ("h-w0-aa", 1)
    assert set(problem) == {"what", "detail", "series", "segment", "offset"}
    people = cli("check", "--data", shop.data)
    assert people.code == 1
    assert "h-w0-aa/1" in people.err
