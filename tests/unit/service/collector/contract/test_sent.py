"""Events of the common form: whatever is decoded in one step, the JSON Schemas take as it is."""

from typing import Any

import pytest
from contract_tools import (
    CONTRACT,
    EVERY,
    INTERACTION_TYPES,
    SCHEMAS,
    TRACK_TYPES,
    UUID,
    plain_of,
)
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.collector.contract import body, sent
from service.collector.contract.body import content, json_value
from service.collector.contract.rejection import Rejection
from service.collector.contract.sent import SentEvent

TRACKED = {
    "endpoint": "track",
    "tenant_id": "17",
    "tenant_slug": "la-colmena",
    "type": "whatsapp_click",
    "event_id": UUID,
    "timestamp": "2026-11-23T04:10:00.250Z",
    "context": {"path": "/zapatos", "query": "?utm_source=x", "referrer": None},
    "product_id": None,
    "metadata": {"a": 1, "b": "é", "c": None, "d": 0.5, "e": True},
}
NAMES = [*TRACKED, "ref", "value", "transaction_id", "more", "", "a"]
TEXTS = [*TRACK_TYPES, *INTERACTION_TYPES, UUID, "17", "1" * 16, "1" * 17, "", "2026-11-23", "usd"]
ODD_TEXTS = [UUID + "\n", "17\n", "\u0661", "²", "\n", "\0", "é" * 8192, "x" * 8192, "x" * 8193]
# The JSON of values, some of which are none, and some no UTF-8.
NUMBERS = [
    *("0", "-0", "-0.0", "17", "17.0", "1e2", "1E2", "1.5e-400", "1e400", "-1e400", "1e15", "0.1"),
    *("01", "1.", ".5", "+", "-", "1e", "0x1", "NaN", "Infinity", "1_0", "5e-324"),
    *("9007199254740991", "-9007199254740991", "9007199254740992", "9007199254740993"),
    *("9007199254740991.5", "9.007199254740991e15", "18446744073709551615", "18446744073709551616"),
    *("123456789012345678901234567890", "1.7976931348623157e308", "0.30000000000000004"),
]
OTHERS = [
    *(
        b"null",
        b"true",
        b"false",
        b"[]",
        b"{}",
        b"[1]",
        b'{"a":[]}',
        b"nul",
        b"",
        b"]",
        b'"',
        b"'a'",
    ),
    *(
        b'"\xff"',
        b'"\xc3("',
        b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"\xc0\x80"',
        b'"\x00"',
        b'"\x1f"',
        b'"\x7f"',
    ),
    *(
        rb'"\ud83d\ude00"',
        rb'"\ud83d"',
        rb'"\ude00"',
        rb'"\u0000"',
        rb'"\u00e9"',
        rb'"\x41"',
        rb'"\/"',
        rb'"\u00"',
    ),
    *(rb'"ca\u006cl"', rb'"\uD83Dx"', rb'"\\u0000"', b'"\xc3\xa9"'),
]
keys = st.sampled_from(NAMES).map(plain_of) | st.sampled_from(OTHERS)
scalars = st.one_of(
    st.sampled_from(TEXTS).map(plain_of),
    st.sampled_from(ODD_TEXTS).map(plain_of),
    st.sampled_from(NUMBERS).map(str.encode),
    st.sampled_from(OTHERS),
)


def objects(
    values: st.SearchStrategy[bytes], names: st.SearchStrategy[bytes]
) -> st.SearchStrategy[bytes]:
    """The JSON of objects, in which names may repeat."""
    pairs = st.lists(st.tuples(names, values).map(b":".join), max_size=4)
    return st.tuples(pairs, st.sampled_from([b",", b" , ", b",\n"])).map(
        lambda drawn: b"{%b}" % drawn[1].join(drawn[0])
    )


inner = st.one_of(
    objects(scalars, st.sampled_from(["path", "query", "ip", "more"]).map(plain_of)),
    objects(scalars, keys),
    scalars,
    st.integers(127, 130).map(lambda count: plain_of({str(n): n for n in range(count)})),
)
MEMBERS = {name: b"%b:%b" % (plain_of(name), plain_of(value)) for name, value in TRACKED.items()}
known = st.lists(st.sampled_from([*MEMBERS.values()]), max_size=9, unique=True)
others = st.lists(st.tuples(keys, inner).map(b":".join), max_size=3)
bodies = (
    st.tuples(known, others)
    .flatmap(lambda drawn: st.permutations(drawn[0] + drawn[1]))
    .map(lambda members: b"{%b}" % b",".join(members))
)
REQUIRED = [
    b'{"tenant_id":17,"type":"whatsapp_click",',
    b'{"tenant_id":"17","type":"whatsapp_click",',
]
nearly = st.tuples(
    st.sampled_from(REQUIRED), st.tuples(st.sampled_from(NAMES).map(plain_of), inner).map(b":".join)
).map(lambda drawn: drawn[0] + drawn[1] + b"}")


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A body with some of its bytes replaced."""
    plain = draw(bodies | nearly)
    start = draw(st.integers(0, len(plain)))
    stop = draw(st.integers(start, min(len(plain), start + 3)))
    part = draw(
        st.sampled_from(
            [b"", b'"', b"\\", b",", b"}", b"\0", b"\xff", b"\xe2\x80", b" ", b"1", b"{"]
        )
    )
    return plain[:start] + part + plain[stop:]


SCALARS = [
    *map(plain_of, TEXTS + ODD_TEXTS),
    *map(str.encode, NUMBERS),
    *OTHERS,
]
SEVERAL = [plain_of({str(n): n for n in range(count)}) for count in (127, 128, 129)]
NESTED = [
    *(form % each for form in (b'{"a":%b}', b'{"path":%b}', b"{%b:1}") for each in SCALARS),
    *SEVERAL,
]


def changes_nothing(name: str, plain: bytes) -> None:
    check, value = getattr(CONTRACT, name), json_value(plain)
    if isinstance(value, Rejection):
        assert content(plain) == value
    else:
        assert repr(check(content(plain), plain)) == repr(check(value, plain))


@pytest.mark.parametrize("name", ["track", "interaction"])
def test_decoding_in_one_step_changes_no_value_of_a_field(name: str) -> None:
    """Each value at the bounds of a form, alone in an event that is valid without it."""
    for field in NAMES:
        values = SCALARS + NESTED if field in {"metadata", "context"} else SCALARS
        for value in values:
            changes_nothing(name, REQUIRED[0] + b"%b:%b}" % (plain_of(field), value))


@EVERY
@settings(max_examples=examples(300))
@given(plain=bodies | nearly | broken())
@example(plain=b"\xef\xbb\xbf" + plain_of(TRACKED))
@example(plain=plain_of(TRACKED) + b"\0")
@example(plain=plain_of(TRACKED) + b" \t\r\n")
@example(plain=b"\x0b" + plain_of(TRACKED))
@example(plain=b'{"a":' * 2000)
@example(plain=b"[" * 2000)
def test_decoding_in_one_step_changes_no_result(name: str, plain: bytes) -> None:
    """Payload or rejection, to the type of each number; what is not JSON is no event either."""
    changes_nothing(name, plain)


def test_the_bounds_of_the_form_are_those_of_the_schemas() -> None:
    """A text within the bytes of an event has no more characters than a text may have."""
    shared = SCHEMAS["common"]["$defs"]
    assert shared["text"]["maxLength"] >= body._EVENT_BYTES_MAX
    assert shared["limits"]["maximum"] == sent._WHOLE_MAX
    assert shared["limits"]["maxProperties"] == sent._PROPERTIES_MAX


@pytest.mark.parametrize("missing", [(), ("endpoint",), ("context", "metadata"), ("event_id",)])
@pytest.mark.parametrize("name", ["track", "interaction"])
def test_the_events_of_the_tracker_have_the_common_form(
    name: str, missing: tuple[str, ...]
) -> None:
    """Otherwise every event would be decoded twice."""
    fields: dict[str, Any] = {key: value for key, value in TRACKED.items() if key not in missing}
    event = content(plain_of(fields))
    assert isinstance(event, SentEvent)
    assert getattr(CONTRACT, name)(event, b"not read again").tenant == 17
