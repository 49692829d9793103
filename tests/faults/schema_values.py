"""The properties of each endpoint by schemas/v1: values at their bounds, and strategies.

Nothing of the contract is written here a second time: a property or a limit that is added to the
schemas is attacked from then on.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Schema: TypeAlias = dict[str, Any]

TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"

_NAMES = {TRACK: "track", CONVERSION: "conversion", INTERACTIONS: "interaction"}
_FOLDER = files("schemas") / "v1"
_COMMON: Schema = json.loads((_FOLDER / "common.json").read_bytes())
LIMITS: Schema = _COMMON["$defs"]["limits"]
STRING_MAX: int = _COMMON["$defs"]["text"]["maxLength"]
_SAMPLES = {
    "string": ["", "a"],
    "integer": [0, 1.0],
    "number": [0, 0.5, -0.0],
    "object": [{}],
    "array": [[]],
    "null": [None],
}
_OTHER_TYPES: list[Any] = [None, True, 1, 1.5, "a", [], {}, [{}]]


def properties(path: str) -> dict[str, Schema]:
    """The properties of an endpoint's payload, their references resolved."""
    document = json.loads((_FOLDER / f"{_NAMES[path]}.json").read_bytes())
    return {name: resolved(schema) for name, schema in document["properties"].items()}


def resolved(schema: Schema) -> Schema:
    """The schema with what it refers to in it."""
    own = {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        own = resolved(_COMMON["$defs"][schema["$ref"].rpartition("/")[2]]) | own
    if "anyOf" in own:
        own["anyOf"] = [resolved(option) for option in own["anyOf"]]
    return own


def types_of(schema: Schema) -> list[str]:
    """The types that it names."""
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else named


def valid(schema: Schema) -> list[Any]:
    """Values that it takes, up to its bounds."""
    if "enum" in schema:
        return list(schema["enum"])
    found = [value for option in schema.get("anyOf", ()) for value in valid(option)]
    found += schema.get("examples", [])
    found += [schema[key] for key in ("default", "minimum", "maximum") if key in schema]
    if "string" in types_of(schema) and "pattern" not in schema and schema.get("maxLength"):
        found.append("é" * schema["maxLength"])
    return found + [None for name in types_of(schema) if name == "null"]


def edges(schema: Schema) -> list[Any]:
    """Values around its bounds, beyond them, and of types that are not its own."""
    taken = valid(schema)
    texts = [value for value in taken if isinstance(value, str)][:4]
    length = schema.get("maxLength", STRING_MAX)
    found = [*taken, *_OTHER_TYPES, "x" * length, "x" * (length + 1)]
    found += [changed for text in texts for changed in (text.upper(), f"{text}\n", f" {text}")]
    for key, step in (("minimum", -1), ("maximum", 1)):
        bound = schema.get(key, LIMITS[key])
        found += [bound, bound + step, float(bound) * 2, str(bound), f"{bound}0", f"{bound}1"]
    return found


# -- strategies -------------------------------------------------------------------------------


def texts(*, max_size: int = 40) -> SearchStrategy[str]:
    """Any text that can be sent: no lone surrogates."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size)


def json_values() -> SearchStrategy[Any]:
    """Any JSON value of a moderate size."""
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | texts(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=4),
        max_leaves=8,
    )


def payloads(path: str) -> SearchStrategy[dict[str, Any]]:
    """Payloads of an endpoint: most of them valid, some nearly."""
    fields = {name: values(schema) for name, schema in properties(path).items()}
    required = json.loads((_FOLDER / f"{_NAMES[path]}.json").read_bytes())["required"]
    return st.fixed_dictionaries(
        {name: fields.pop(name) for name in required},
        optional={**fields, "unheard_of": json_values()},
    )


def values(schema: Schema) -> SearchStrategy[Any]:
    """Values that a schema takes; now and then one of its edges."""
    taken: list[SearchStrategy[Any]] = [st.sampled_from(valid(schema) or [None])]
    for name in types_of(schema):
        taken.append(st.sampled_from(_SAMPLES[name]))
        if name in ("integer", "number"):
            taken.append(_numbers(schema, name))
        elif name == "string":
            taken.append(_strings(schema))
        elif name == "object":
            taken.append(st.dictionaries(texts(), json_values(), max_size=6))
    if "string" in types_of(schema) and "timestamp" in schema.get("title", "").lower():
        taken.append(st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"))
    return st.one_of(*taken, *taken, st.sampled_from(edges(schema)))


def _numbers(schema: Schema, name: str) -> SearchStrategy[Any]:
    low, high = (schema.get(key, LIMITS[key]) for key in ("minimum", "maximum"))
    if name == "integer":
        return st.integers(int(low), int(high))
    return st.floats(low, high) | st.integers(int(low), int(high))


def _strings(schema: Schema) -> SearchStrategy[str]:
    if "pattern" in schema:
        pattern = re.sub(r"(\(\?!\\n\))?\$$", r"\\Z", schema["pattern"])
        return st.from_regex(pattern, fullmatch=True)
    return texts(max_size=min(schema.get("maxLength", 40), 300))
