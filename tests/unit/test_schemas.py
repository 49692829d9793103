"""The schema files themselves: valid, self-contained, documented, and each fact in one place."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from service.collector.contract.payload import CONVERSION_TYPE_DEFAULT, CURRENCY_DEFAULT

NAMES = ("common", "track", "conversion", "interaction", "event")
SCHEMAS: dict[str, dict[str, Any]] = {
    name: orjson.loads((files("schemas") / "v1" / f"{name}.json").read_bytes()) for name in NAMES
}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
DEFS = SCHEMAS["common"]["$defs"]


def subschemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema, itself included."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, (dict, list)):
            yield from subschemas(child)


def example_of(name: str) -> dict[str, Any]:
    return dict(SCHEMAS[name]["examples"][0])


def is_valid(name: str, instance: object) -> bool:
    rules = Draft202012Validator(SCHEMAS[name], registry=REGISTRY)
    return bool(rules.is_valid(instance))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_a_2020_12_schema_named_by_its_id(name: str) -> None:
    """A schema says which draft it is in, and its id ends in its file's name."""
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://beaconlog.dev/schemas/v1/{name}.json"


@pytest.mark.parametrize("name", NAMES)
def test_references_stay_within_the_shared_definitions(name: str) -> None:
    """Every reference names a definition in common.json, relative to it."""
    for node in subschemas(SCHEMAS[name]):
        if "$ref" in node:
            target, _, definition = node["$ref"].partition("#/$defs/")
            assert target == ("" if name == "common" else "common.json")
            assert definition in DEFS


@pytest.mark.parametrize("name", NAMES[1:])
def test_schemas_are_documented_and_their_examples_are_valid(name: str) -> None:
    """Each body has a title, a description and valid examples; each property is described."""
    schema = SCHEMAS[name]
    assert schema["title"]
    assert schema["description"]
    assert schema["examples"]
    assert all(is_valid(name, example) for example in schema["examples"])
    for field in schema["properties"].values():
        shared = DEFS.get(field.get("$ref", "").rpartition("/")[2], {})
        assert {"title", "description"} & (field.keys() | shared.keys())


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_fields_are_valid(name: str) -> None:
    """An example beside a field's rules follows them."""
    for node in subschemas(SCHEMAS[name]):
        if "examples" in node and "$id" not in node:
            rules = Draft202012Validator(
                {**node, "$id": SCHEMAS[name]["$id"], "$defs": DEFS}, registry=REGISTRY
            )
            assert all(rules.is_valid(example) for example in node["examples"])


@pytest.mark.parametrize("name", NAMES[1:])
def test_enumerations_live_in_the_shared_definitions_alone(name: str) -> None:
    """No schema but common.json lists what a value may be."""
    assert not [node for node in subschemas(SCHEMAS[name]) if "enum" in node]


def test_currencies_are_the_active_codes() -> None:
    """The list holds the 178 active codes of ISO 4217 in order, and no withdrawn one."""
    codes = DEFS["currency"]["enum"]
    assert len(codes) == len(set(codes)) == 178
    assert codes == sorted(codes)
    assert {"HNL", "USD", "EUR", "GTQ", "MXN", "XCG", "ZWG"} <= set(codes)
    assert set(codes).isdisjoint({"DEM", "HRK", "BGN", "ANG", "ZWL", "SLL", "CUC"})


def test_documented_defaults_are_those_applied() -> None:
    """The defaults in the conversion's schema are the ones the service fills in."""
    fields = SCHEMAS["conversion"]["properties"]
    assert fields["currency"]["default"] == CURRENCY_DEFAULT
    assert fields["type"]["default"] == CONVERSION_TYPE_DEFAULT
    assert fields["value"]["default"] == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_only_the_limits_visit_children(name: str) -> None:
    """Keywords that visit every child stand in the limits alone: explanations rely on it."""
    visiting = {"items", "additionalProperties", "propertyNames"}
    visitors = [node for node in subschemas(SCHEMAS[name]) if visiting & node.keys()]
    assert visitors == ([DEFS["limits"]] if name == "common" else [])


@pytest.mark.parametrize("name", NAMES)
def test_patterns_do_not_end_before_a_final_newline(name: str) -> None:
    """A pattern anchored at its end is guarded where engines differ about a last newline.

    A UUID with one is longer than its maxLength.
    """
    nodes = [node for node in subschemas(SCHEMAS[name]) if isinstance(node.get("pattern"), str)]
    assert all(
        node["pattern"].endswith("(?!\\n)$")
        or node["pattern"] in {"^[^\\u0000]*$", "^(id|s?tx):"}
        or (node["title"], node["maxLength"]) == ("a UUID", 36)
        for node in nodes
    )


@pytest.mark.parametrize(
    "field", ["kind", "event_id", "tenant_id", "endpoint", "type", "occurred_at", "received_at"]
)
def test_a_stored_event_needs_its_identity_and_times(field: str) -> None:
    """A record without one of the required fields, or with null there, is not an event."""
    record = example_of("event")
    assert not is_valid("event", {**record, field: None})
    del record[field]
    assert not is_valid("event", record)


def test_a_stored_event_may_lack_the_rest() -> None:
    """Optional fields of a stored event may be null or absent."""
    record = example_of("event")
    required = SCHEMAS["event"]["required"]
    optional = {name: None for name in record if name not in required}
    assert is_valid("event", {**record, **optional})
    assert is_valid("event", {name: record[name] for name in required})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "rejected"),
        ("endpoint", "elsewhere"),
        ("type", "unheard_of"),
        ("currency", "usd"),
        ("visitor_id", "9F86d081884c7d65"),
        ("visitor_id", "9f86"),
        ("dedupe_key", "T-1001"),
        ("received_at", "2026-11-23"),
        ("value", 1e12),
        ("bot", "no"),
        ("metadata", []),
    ],
)
def test_a_stored_event_keeps_to_its_forms(field: str, value: object) -> None:
    """A stored field out of its form makes the record invalid."""
    assert not is_valid("event", {**example_of("event"), field: value})
