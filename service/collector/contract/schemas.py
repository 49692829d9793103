"""The schema files of one version of the contract: read, checked and compiled."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema_rs
import orjson
from jsonschema import Draft202012Validator, SchemaError

Document: TypeAlias = dict[str, Any]

SHARED = "common"
WIRE = ("track", "conversion", "interaction")
_STORED = "event"
_NUL = rb"\u0000"
_BACKSLASH = ord("\\")
_TEXT_LIMITS = ("$ref", "propertyNames")
_CHILDREN = ("items", "additionalProperties")
_PLAIN_TYPES = ["string", "number", "boolean", "null"]
FOLDER = files("schemas") / "v1"


class SchemaFileError(Exception):
    """A schema file is missing, unreadable or invalid. The text is one line: path and reason."""

    def __init__(self, path: Traversable | Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


def load(folder: Traversable | Path) -> Mapping[str, Document]:
    """Return the schemas of a folder by name. Raises SchemaFileError unless all are valid."""
    paths = {name: folder / f"{name}.json" for name in (SHARED, *WIRE, _STORED)}
    documents = {name: _read(path) for name, path in paths.items()}
    for name, path in paths.items():
        _check(path, documents[name], documents[SHARED])
    return documents


def compiled(document: Document, shared: Document) -> jsonschema_rs.Validator:
    """Return the validator of a schema that may refer to `shared`. Raises ValueError."""
    registry = jsonschema_rs.Registry([(shared["$id"], shared)])
    return jsonschema_rs.Draft202012Validator(document, registry=registry, offline=True)


def without_text_limits(shared: Document) -> Document:
    """Return the shared definitions without the limits of text, which `fits_text` implies."""
    limits = {
        keyword: rule
        for keyword, rule in shared["$defs"]["limits"].items()
        if keyword not in _TEXT_LIMITS
    }
    return {**shared, "$defs": {**shared["$defs"], "limits": limits}}


def within_depth(shared: Document, levels: int) -> Document:
    """Return the shared definitions with limits that allow at most `levels` nested containers.

    The limits of each level refer to those of the next, so that a validator ends with the last.
    """
    definitions = dict(shared["$defs"])
    limits = definitions["limits"]
    last = {keyword: rule for keyword, rule in limits.items() if keyword not in _CHILDREN}
    level = {**last, "type": _PLAIN_TYPES}
    for number in range(levels):
        definitions[f"limits-{number}"] = level
        child = {"$ref": f"{shared['$id']}#/$defs/limits-{number}"}
        level = {**limits, **dict.fromkeys(_CHILDREN, child)}
    definitions["limits"] = level
    return {**shared, "$defs": definitions}


def fits_text(plain: bytes, chars_max: int) -> bool:
    """Return whether all texts in valid JSON have at most `chars_max` characters and no NUL.

    False if they may not have: a text is shorter than the JSON that it is part of.
    """
    # Looking for one byte is several times faster, and most texts have no escapes.
    return len(plain) <= chars_max and (_BACKSLASH not in plain or _NUL not in plain)


def _read(path: Traversable | Path) -> Document:
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SchemaFileError(path, error.strerror or "cannot be read") from error
    except orjson.JSONDecodeError as error:
        raise SchemaFileError(path, f"is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("$id"), str):
        raise SchemaFileError(path, "is not a JSON object with an $id")
    return document


def _check(path: Traversable | Path, document: Document, shared: Document) -> None:
    try:
        Draft202012Validator.check_schema(document)
        compiled(document, shared)
    except SchemaError as error:
        raise SchemaFileError(path, f"{error.json_path}: {_first_line(error)}") from error
    except ValueError as error:
        raise SchemaFileError(path, _first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
