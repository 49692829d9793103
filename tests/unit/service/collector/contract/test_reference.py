"""The contract against a reference of JSON Schema, over bodies of every kind."""

from contract_tools import (
    CONTRACT,
    EVERY,
    INTERACTION_TYPES,
    METHODS,
    MINIMAL,
    SCHEMAS,
    TRACK_TYPES,
    UUID,
    plain_of,
)
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from service.collector.contract.payload import Payload, transaction_id_of
from service.collector.contract.rejection import Rejection

REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
BEYOND_SCHEMA = {"timestamp", "occurred_at", "currency", "value"}
odd = st.text(max_size=4) | st.sampled_from(["\0", "a" * 8192, "a" * 255, "\n"])
texts = odd.map("¤".__add__)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=3)
# hypothesis also draws texts that it finds in the source: a key must not look like a value.
keys = names | odd.filter(lambda text: "¤" not in text)
edges = [2**53 - 1, 2**53, -(2**53), 2**64, 10**30, 1e30, 5.0, -0.0, 0.5, 1e11, 99999999999.9999]
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(edges)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
forms = [
    UUID,
    UUID + "\n",
    "17",
    "17\n",
    "1" * 17,
    "1.5",
    "1.5\n",
    "1e3",
    ".5",
    ".",
    "usd",
    "USD\n",
]
other = ["ABC", "2026-11-23", "a" * 256, "\u0661", "\n", ""]
contexts = st.dictionaries(
    st.sampled_from([*SCHEMAS["common"]["$defs"]["context"]["properties"], "more"]),
    texts | st.none() | values,
    max_size=3,
)
near = contexts | st.sampled_from([*TRACK_TYPES, *INTERACTION_TYPES, *forms, *other])
fields = sorted({field for name in METHODS for field in SCHEMAS[name]["properties"]})
bodies = st.one_of(
    st.builds(
        lambda name, more: {**MINIMAL[name], **more},
        st.sampled_from(sorted(MINIMAL)),
        st.dictionaries(st.sampled_from(fields), near | values, max_size=4),
    ),
    st.dictionaries(st.sampled_from(fields) | names, near | values, max_size=6),
    values,
)


def reference(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY)


def fields_at_fault(name: str, body: object) -> set[str]:
    """The fields named by the reference's own errors."""
    found = set()
    for error in reference(name).iter_errors(body):
        path = [str(part) for part in error.absolute_path]
        missing = error.message.split("'")[1:2] if error.validator == "required" else []
        found.add(".".join(path + missing) or "body")
    return found


@EVERY
@given(body=bodies)
@settings(max_examples=examples(300))
def test_the_contract_agrees_with_the_reference(name: str, body: object) -> None:
    """A schema refuses a body exactly when the reference does, and for the same fields."""
    result = METHODS[name](body)
    expected = fields_at_fault(name, body)
    if not expected:
        assert isinstance(result, Payload) or set(result.errors) <= BEYOND_SCHEMA
    elif all(field.isprintable() and len(field) <= 64 for field in expected):
        assert isinstance(result, Rejection)
        assert set(result.errors) == expected
    else:
        assert isinstance(result, Rejection)


@EVERY
@given(body=bodies, pad=st.sampled_from([0, 8192]), text=st.sampled_from(["", "\0", "a" * 8193]))
def test_the_size_of_the_json_decides_nothing(name: str, body: object, pad: int, text: str) -> None:
    """A text that breaks its limits is found in short JSON and in long, as a value and as a key."""
    check = getattr(CONTRACT, name)
    for each in (body, {**MINIMAL[name], "x": [text]}, {**MINIMAL[name], "metadata": {text: 1}}):
        plain = plain_of(each)
        assert check(each, plain + b" " * pad) == METHODS[name](each)
        assert isinstance(check(each, plain), Payload) <= reference(name).is_valid(each)


@EVERY
@given(body=bodies)
def test_a_refusal_is_never_empty_and_never_repeats_a_value(name: str, body: object) -> None:
    """Every refusal has a message on a field, and no text the client sent as a value."""
    result = METHODS[name](body)
    if isinstance(result, Rejection):
        assert result.message
        assert result.errors
        assert all(result.errors.values())
        assert "¤" not in str(result)


@given(sent=scalars)
def test_the_transaction_id_to_repeat_is_one_the_schema_takes(sent: object) -> None:
    """A transaction id is repeated exactly when it is a valid one."""
    is_valid = reference("conversion").is_valid({"tenant_slug": "x", "transaction_id": sent})
    assert transaction_id_of({"transaction_id": sent}) == (sent if is_valid else None)
