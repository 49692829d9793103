"""The limits of a body: the sizes of its parts and how deep it nests."""

from typing import Any

import orjson
import pytest
from contract_tools import CONTRACT, EVERY, MINIMAL, plain_of, refused, taken
from hypothesis import given
from hypothesis import strategies as st

from service.collector.contract.body import TOO_DEEP, is_deep
from service.collector.contract.payload import Payload


@EVERY
@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"extra": "a" * 8193}, "extra"),
        ({"extra": "a\0"}, "extra"),
        ({"extra": 2**53}, "extra"),
        ({"extra": -(2**53)}, "extra"),
        ({"metadata": {"x": {"y": "a" * 8193}}}, "metadata.x.y"),
        ({"metadata": {"x": [0, {"y": "\0"}]}}, "metadata.x.1.y"),
        ({"metadata": {"x": 1e30}}, "metadata.x"),
        ({"metadata": {"x": [2**64]}}, "metadata.x.0"),
        ({"metadata": {"x": {str(n): n for n in range(129)}}}, "metadata.x"),
        ({"metadata": {"x": {"a" * 8193: 1}}}, "metadata.x"),
        ({"metadata": {"a\0": 1}}, "metadata"),
        ({"a\0": 1}, "body"),
        ({str(n): n for n in range(129)}, "body"),
    ],
)
def test_the_limits_hold_at_any_depth(name: str, fields: dict[str, object], where: str) -> None:
    """A value beyond a limit is named by its dotted path, the name of a property by its owner."""
    rejection = refused(name, **fields)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", [where])


@EVERY
def test_what_reaches_a_limit_is_taken(name: str) -> None:
    """The limits themselves are allowed."""
    metadata = {
        "a" * 8192: "\n" * 8192,
        "b": [2**53 - 1, -(2**53) + 1, 0.5, True, None],
        "c": {str(n): n for n in range(128)},
    }
    assert taken(name, metadata=metadata).metadata == metadata
    room = 128 - len(MINIMAL[name])
    assert taken(name, **{f"x{n}": n for n in range(room)}) == taken(name)


@EVERY
@given(
    st.recursive(
        st.none() | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner),
        max_leaves=20,
    ),
    st.integers(0, 18),
    st.sampled_from(["extra", "metadata"]),
    st.sampled_from([0, 8192]),
)
def test_a_body_is_refused_exactly_if_it_nests_too_deep(
    name: str, value: Any, wraps: int, field: str, pad: int
) -> None:
    """Deeper than sixteen containers, the body counted, in any field, in short JSON and in long."""
    for level in range(wraps):
        value = [value] if level % 2 else {"a": value}
    body = {**MINIMAL[name], field: {"a": value}}
    result = getattr(CONTRACT, name)(body, plain_of(body) + b" " * pad)
    assert (result == TOO_DEEP) == is_deep(body)
    assert isinstance(result, Payload) != is_deep(body)


@EVERY
@pytest.mark.parametrize("nested", [b"[" * 17 + b"]" * 17, b'{"a":' * 1000 + b"1" + b"}" * 1000])
def test_a_body_that_is_nothing_but_deep_is_too_deep(name: str, nested: bytes) -> None:
    """As deep as the parser goes; whatever else is wrong with it."""
    assert getattr(CONTRACT, name)(orjson.loads(nested), nested) == TOO_DEEP
