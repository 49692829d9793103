"""The benchmark of contexts compares the same events, with and without one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import contexts, directory, loads
from etl.channels.rules import Rules
from service.collector.context.agents import Agents
from service.collector.context.contexts import Contexts
from service.collector.context.countries import NoCountries

OF_AGENT = {"device", "browser", "os"}
OF_PAGE = {"path", "channel", "channel_rules"}


@pytest.fixture(autouse=True)
def small_ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A short ring, in which no shop signs."""
    monkeypatch.setattr(directory, "prepared", lambda: directory.Prepared(Path(), {}))
    monkeypatch.setattr(loads, "RING", 200)
    yield
    loads.browsers_kept.cache_clear()


def test_only_the_context_makes_the_difference() -> None:
    """Of the lines of accepted events; without the agent, of no event a device."""
    known = Contexts(Agents(Rules.load()), NoCountries())
    events = contexts.sent(200)
    assert len(events) == 200
    found: set[str] = set()
    for event in events:
        bare = contexts.without_context(event)
        least, of_agent, whole = (
            json.loads(contexts.line(sent, by))
            for sent, by in ((bare, None), (bare, known), (event, known))
        )
        assert of_agent.keys() - least.keys() <= OF_AGENT
        assert whole.keys() - of_agent.keys() >= OF_PAGE
        assert {name: whole[name] for name in least} == least
        found |= whole.keys()
    assert OF_AGENT | {"utm_campaign", "referrer"} <= found
