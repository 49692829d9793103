"""The schema files of `schemas/v1` as components of an OpenAPI document.

A reference to a definition of `common.json` becomes one to a component of its name; the rest stays
as it is, because OpenAPI 3.1 has the dialect of the files.
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
_OF_FILES_ALONE = ("$schema", "$id")


def ref(name: str) -> Json:
    """A reference to a component."""
    return {"$ref": _PREFIX + name}


def bodies() -> Json:
    """Track, Conversion and Interaction, and every definition that they refer to."""
    wire = {
        name.capitalize(): _component(_read(name))
        for name in ("track", "conversion", "interaction")
    }
    return {**wire, **shared(referred(wire))}


def shared(names: Iterable[str]) -> Json:
    """These definitions of `common.json`, and every one that they refer to."""
    defined = _component(_read(_SHARED)["$defs"])
    found: Json = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = defined[name]
            wanted += referred(defined[name])
    return dict(sorted(found.items()))


def referred(part: object) -> Iterator[str]:
    """The names of the components that a part of a document refers to."""
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
            if key not in _OF_FILES_ALONE
        }
    return [_component(item) for item in part] if isinstance(part, list) else part


@cache
def _read(name: str) -> Json:
    found: Json = json.loads((_FOLDER / f"{name}.json").read_text())
    return found
