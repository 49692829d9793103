"""Rules of channels applied to the past: only channels change, and a second run does nothing."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from log_tools import DAY_S, Shop, event
from older_files import THIRD, written_as
from typer.testing import CliRunner

from etl import reports
from etl.channels.rules import Rules
from etl.lake import parquet
from etl.lake.compaction import CompactionPlan
from etl.lake.live.view import LiveView
from etl.lake.tables import EVENTS
from etl.upkeep import channels, check
from etl.upkeep.channels import ChannelsOutcome
from service.cli.commands import app

WRITTEN: dict[str, Any] = tomllib.loads(
    (Path(channels.__file__).parents[1] / "channels" / "rules.toml").read_text()
)
TODAY = Rules.load()
NEWER = Rules(
    {
        **WRITTEN,
        "version": 2,
        "kinds": {**WRITTEN["kinds"], "press": {"sources": [], "hosts": ["laprensa.hn"]}},
        "rules": [{"channel": "ai-assistant", "kind": ["press"]}, *WRITTEN["rules"]],
    }
)
OTHERS = ", ".join(name for name in EVENTS.columns if not name.startswith("channel"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two days: events of the press, of campaigns, without an origin, and without a context."""
    shop = Shop(tmp_path / "data")
    known = {"channel_rules": 1}
    press = {"referrer": "laprensa.hn", "channel": "referral", **known}
    shop.seal(
        event(0, **press, product_id=5, metadata={"a": 1}),
        event(1, **press, utm_source="ig"),
        event(2, channel="whatsapp", **known),
        event(3, channel="whatsapp", click_id="fbclid", **known),
        event(4, channel="referral", click_id="fbclid", **known),
        event(5, channel="internal", **known),
        event(6, channel="direct", path="/", **known),
        event(7),
        event(8, channel="direct", utm_campaign="verano", **known),
    )
    shop.compact()
    shop.seal(event(DAY_S), event(DAY_S + 1, type="view"))
    shop.compact()
    return shop


def run(shop: Shop, rules: Rules = NEWER) -> ChannelsOutcome:
    return channels.run(shop.data, CompactionPlan(), 2 * DAY_S, rules=rules)


def told(shop: Shop) -> list[tuple[object, ...]]:
    return shop.query("SELECT channel, channel_rules FROM events ORDER BY seq")


def answers(shop: Shop) -> list[object]:
    """The answers of reports, but those of channels."""
    with LiveView(shop.data).connect() as con:
        return [
            reports.run(con, name).rows
            for name in ("summary", "timeseries", "funnel", "revenue", "sources", "recent")
        ]


def test_new_rules_change_channels_alone(shop: Shop) -> None:
    """By the signs of an event; what only a user agent or the own site told stays."""
    before, rows = answers(shop), shop.query(f"SELECT {OTHERS} FROM events ORDER BY seq")
    outcome = run(shop)
    assert (outcome.rules, outcome.events, outcome.files) == (2, 4, 1)
    assert told(shop) == [
        ("ai-assistant", 2),
        ("organic-social", 2),
        ("whatsapp", 2),
        ("whatsapp", 2),
        ("organic-social", 2),
        ("internal", 2),
        ("direct", 2),
        (None, None),
        ("referral", 2),
        (None, None),
        (None, None),
    ]
    assert shop.query(f"SELECT {OTHERS} FROM events ORDER BY seq") == rows
    assert answers(shop) == before
    assert check.run(shop.data).ok


def test_a_second_run_does_nothing(shop: Shop) -> None:
    """Nor does one with older rules, or with the rules that the events have."""
    assert run(shop, TODAY).files == 0
    version = run(shop).version
    after = told(shop)
    for rules in (NEWER, TODAY):
        again = run(shop, rules)
        assert (again.events, again.files, again.version) == (0, 0, version)
    assert told(shop) == after


def test_events_that_wait_in_the_log_are_compacted_first(shop: Shop) -> None:
    """They are part of the past too."""
    shop.seal(event(DAY_S + 2, referrer="laprensa.hn", channel="referral", channel_rules=1))
    run(shop)
    assert told(shop)[-1] == ("ai-assistant", 2)


def test_files_of_earlier_versions_are_left_alone(tmp_path: Path) -> None:
    """They have no channels."""
    shop = Shop(tmp_path / "data")
    with written_as(THIRD):
        shop.seal(event(0))
        shop.compact()
    assert run(shop).files == 0
    assert told(shop) == [(None, None)]


def test_a_killed_run_is_completed_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was written but not committed is used or swept."""
    shop.seal(event(DAY_S + 2, referrer="laprensa.hn", channel="referral", channel_rules=1))
    shop.compact()
    write, calls = parquet.write_file, []

    def dying(*args: Any, **kwargs: Any) -> Any:
        written = write(*args, **kwargs)
        calls.append(written)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return written

    monkeypatch.setattr(parquet, "write_file", dying)
    with pytest.raises(KeyboardInterrupt):
        run(shop)
    monkeypatch.undo()
    run(shop)
    assert [channel for channel, _ in told(shop)].count("ai-assistant") == 2
    assert check.run(shop.data).ok
    assert run(shop).files == 0


def test_an_older_version_of_the_lake_keeps_its_channels(shop: Shop) -> None:
    """A pinned answer is the same for ever."""
    with LiveView(shop.data).connect() as con:
        ((version,),) = con.execute("SELECT version FROM snapshot").fetchall()
    before = told(shop)
    run(shop)
    with LiveView(shop.data).connect(version=version) as con:
        pinned = con.execute("SELECT channel, channel_rules FROM events ORDER BY seq").fetchall()
    assert pinned == before


def test_the_command_tells_what_it_did(shop: Shop) -> None:
    """The rules of this version are those that the events have."""
    done = CliRunner().invoke(app, ["channels", "--data", str(shop.data)])
    assert done.exit_code == 0, done.output
    words = "rules 1: 0 events have a new channel, 0 files rewritten; lake version "
    assert done.stdout.startswith(words)


def test_a_signed_sale_has_the_channel_that_its_page_got_again(shop: Shop) -> None:
    """In a process that has read the sales before, too."""
    sold = {"endpoint": "conversion", "type": "purchase", "transaction_id": "A", "value": 1}
    press = {"referrer": "laprensa.hn", "channel": "referral", "channel_rules": 1}
    shop.seal(
        event(2 * DAY_S, **sold, dedupe_key="tx:A", **press),
        event(2 * DAY_S + 1, **sold, dedupe_key="stx:A", signed=True),
    )
    shop.compact()
    view = LiveView(shop.data)

    def channel() -> object:
        with view.connect() as con:
            return con.execute("SELECT channel FROM events WHERE signed").fetchall()

    assert channel() == [("referral",)]
    run(shop)
    assert channel() == [("ai-assistant",)]
