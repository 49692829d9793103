"""The bodies of rejected events hold nothing that is never stored of a context."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.channels.rules import Rules
from service.collector.context.agents import Agents
from service.collector.context.contexts import Contexts
from service.collector.context.countries import NoCountries
from service.collector.context.redaction import redacted
from service.collector.contract.sent import SentContext

CONTEXTS = Contexts(Agents(Rules.load()), NoCountries())
texts = st.text(max_size=40)
queries = st.lists(
    st.tuples(st.sampled_from(["utm_source", "utm_term", "gclid", "fbclid", "x"]), texts)
).map(lambda pairs: "&".join("=".join(pair) for pair in pairs))


def test_a_body_without_a_context_is_left_alone() -> None:
    """To the byte, also if it is not JSON."""
    plain = [
        b"",
        b'{ "tenant_id" : 1.0 }',
        b"\xff",
        b'["context-free"]',
        b'{"a":"\\u00f1 \\u0063ontext"}',
    ]
    for body in plain:
        assert redacted(body) is body


def test_a_context_is_found_however_its_name_is_written() -> None:
    """With escapes, in capitals, and twice."""
    for name in (r"\u0063ontext", r"conte\u0078t", "Context", r"CONTE\u0058T"):
        body = f'{{"type":"x","{name}":{{"ip":"secret","path":"/p"}},"z":"\\u00f1"}}'
        stored = json.loads(redacted(body.encode()))
        assert stored["type"] == "x"
        assert stored["z"] == "ñ"
        assert "secret" not in str(stored)


@pytest.mark.parametrize(
    "body",
    [
        b"tenant_slug=la-colmena&context[ip]=secret&context[user_agent]=secret",
        b"tenant_slug=la-colmena&context%5Bip%5D=secret",
        b"{'tenant_slug': 'la-colmena', 'context': {'ip': 'secret'}}",
        b"{tenant_slug: 'la-colmena', Context: {ip: 'secret'}}",
        b'{"tenant_slug":"la-colmena","context[ip]":"secret"}',
        b'{"tenant_slug":"la-colmena","context.ip":"secret"}',
        b'"tenant_slug=la-colmena&context[ip]=secret"',
        b"<sale><tenant_slug>la-colmena</tenant_slug><context><ip>secret</ip></context></sale>",
        b'{"events":[{"tenant_slug":"la-colmena","\\u0063ontext":{"ip":"secret"}}]}',
        json.dumps('{"tenant_slug":"la-colmena","context":{"ip":"secret"}}').encode(),
    ],
)
def test_a_body_of_another_form_ends_before_its_context(body: bytes) -> None:
    """Forms, the text of Python's objects, XML, a batch in an object, JSON in JSON."""
    stored = redacted(body)
    assert b"la-colmena" in stored
    assert b"secret" not in stored


@pytest.mark.parametrize(
    "body",
    [
        b'{"tenant_id":1,"\\u0063ontext":{"ip":"secret"}',
        b'{"tenant_id":1,"CONTE\\U0058T":{"ip":"secret"}',
        '{"tenant_id":1,"context":{"ip":"secret"}}'.encode("utf-16"),
        '{"tenant_id":1,"context":{"ip":"secret"}}'.encode("utf-32-be"),
    ],
)
def test_a_body_that_may_hide_its_context_is_left_out(body: bytes) -> None:
    """It is not JSON, so its escapes have no meaning."""
    assert redacted(body) == b""


def test_a_context_keeps_what_its_record_would_store() -> None:
    """The address, the user agent, a click id's value and the rest of a referrer are left out."""
    context = {
        "path": "/p?secret",
        "query": "utm_source=a%26b&x=secret&fbclid=secret",
        "referrer": "https://user@x.hn/secret",
        "ip": "203.0.113.7",
        "user_agent": "secret",
        "more": "secret",
    }
    stored = redacted(json.dumps({"tenant_id": "ñ", "context": context, "z": 1}).encode())
    assert json.loads(stored) == {
        "tenant_id": "ñ",
        "context": {"path": "/p", "query": "utm_source=a%26b&fbclid=1", "referrer": "x.hn"},
        "z": 1,
    }


@pytest.mark.parametrize("context", [None, "secret", ["secret"], {}, {"path": 1, "ip": ["secret"]}])
def test_a_context_of_another_form_is_left_out(context: object) -> None:
    """Its fields too."""
    stored = json.loads(redacted(json.dumps({"type": "x", "context": context}).encode()))
    assert stored["type"] == "x"
    assert not stored["context"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"tenant_id":1,"context":{"ip":"secret"}',
        b'{"tenant_id":1,"context":{"ip":"secret"},}',
        b'{"tenant_id":1,"context":"\xff secret"}',
        b'{"tenant_id":1,"context":' + b"[" * 2000 + b'"secret"' + b"]" * 2000 + b"}",
        b'{"tenant_id":1,"a":' + b"[" * 600 + b"]" * 600 + b',"context":{"ip":"secret"}}',
        b'[{"tenant_id":1,"context":{"ip":"secret"}}]',
    ],
)
def test_a_body_that_is_no_object_ends_before_its_context(body: bytes) -> None:
    """The part before it shows which tenant it is of."""
    stored = redacted(body)
    assert body.startswith(stored)
    assert b"tenant_id" in stored
    assert b"secret" not in stored


def test_a_context_that_is_there_twice_leaves_nothing() -> None:
    """The last one counts, as for the contract."""
    stored = redacted(b'{"context":{"ip":"secret"},"context":{"path":"/p"}}')
    assert json.loads(stored) == {"context": {"path": "/p"}}


@pytest.mark.parametrize(
    "other",
    [
        {"events": [{"context": {"ip": "secret"}}]},
        {"body": '{"context": {"ip": "secret"}}'},
        {"context[ip]": "secret"},
    ],
)
def test_a_second_context_is_found_beside_the_first(other: dict[str, object]) -> None:
    """The body then ends before it."""
    for context in (None, {"path": "/p"}):
        sent = {"tenant_slug": "la-colmena", "context": context, **other}
        stored = redacted(json.dumps(sent).encode())
        assert b"la-colmena" in stored
        assert b"secret" not in stored


def test_metadata_are_kept_as_a_record_stores_them() -> None:
    """Whatever their names, so that the body can be sent again."""
    sent = {"tenant_id": 1, "metadata": {"context": "fair"}, "context": {"path": "/p"}}
    assert json.loads(redacted(json.dumps(sent).encode())) == sent


@given(path=texts, query=queries, referrer=texts)
def test_what_is_kept_gives_the_same_record(path: str, query: str, referrer: str) -> None:
    """Sent again, after the directory could not be read."""
    sent: dict[str, Any] = {"path": path, "query": query, "referrer": referrer}
    kept = json.loads(redacted(json.dumps({"context": sent}).encode()))["context"]
    known, again = (dict(CONTEXTS.fields(SentContext(**each), None, "")) for each in (sent, kept))
    if referrer and "referrer" not in known:  # no host: nobody's page, and now the shop's
        for each in (known, again):
            each.pop("channel", None)
    assert known == again
