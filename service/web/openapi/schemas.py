"""The schema files of `schemas/v1` as components of an OpenAPI document.

References to definitions of `common.json` become references to components with the same name. All
else is unchanged, because OpenAPI 3.1 uses the same dialect of JSON Schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

_FOLDER = files("schemas") / "v1"
_SHARED = "common"
_PREFIX = "#/components/schemas/"
_FILE_KEYWORDS = ("$schema", "$id")


def ref(name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": _PREFIX + name}


def bodies() -> Json:
    """Return Track, Conversion and Interaction, and the definitions that they refer to."""
    wire = {
        name.capitalize(): _component(_read(name))
        for name in ("track", "conversion", "interaction")
    }
    return {**wire, **shared(referred(wire))}


def shared(names: Iterable[str]) -> Json:
    """Return these definitions of `common.json` and those that they refer to."""
    defined = _component(_read(_SHARED)["$defs"])
    collected: Json = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in collected:
            collected[name] = defined[name]
            pending += referred(defined[name])
    return dict(sorted(collected.items()))


def referred(part: object) -> Iterator[str]:
    """Yield the names of the components that a part of a document refers to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str) and value.startswith(_PREFIX):
                yield value.removeprefix(_PREFIX)
            else:
                yield from referred(value)
    elif isinstance(part, list):
        for item in part:
            yield from referred(item)


def _component(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: _PREFIX + value.rpartition("/")[2] if key == "$ref" else _component(value)
            for key, value in part.items()
            if key not in _FILE_KEYWORDS
        }
    return [_component(item) for item in part] if isinstance(part, list) else part


@cache
def _read(name: str) -> Json:
    schema: Json = json.loads((_FOLDER / f"{name}.json").read_text())
    return schema
