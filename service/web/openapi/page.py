"""A document as one page: no script, and one style sheet of our own.

Every operation is a section that opens by itself, with its parameters, its body's fields, an
example, and its responses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tornado.template import Template

from service.web.openapi.schemas import Json, referred


@dataclass(frozen=True, slots=True)
class Line:
    """A field, a parameter or a header: its name, type, meaning, and whether it must be there."""

    name: str
    type: str
    about: str
    required: bool


class Words:
    """Reads a document's schemas for a person."""

    def __init__(self, document: Json) -> None:
        self._known: Json = document["components"]["schemas"]

    def resolved(self, schema: Json) -> Json:
        """The schema with what it refers to beside its own keywords, which count."""
        found = dict(schema)
        while "$ref" in found:
            name = found.pop("$ref").rpartition("/")[2]
            if name == "limits":  # of every value: told once, at the component
                break
            found = {**self._known[name], **found}
        return found

    def fields(self, schema: Json) -> list[Line]:
        """The properties of an object, as lines."""
        whole = self.resolved(schema)
        required = whole.get("required", [])
        return [
            Line(name, self.type_of(one), self.about(one), name in required)
            for name, one in whole.get("properties", {}).items()
        ]

    def parameters(self, operation: Json) -> list[Line]:
        """An operation's parameters, as lines."""
        return [
            Line(
                one["name"],
                self.type_of(one["schema"]),
                " ".join(filter(None, (one.get("description", ""), self.about(one["schema"])))),
                one.get("required", False),
            )
            for one in operation.get("parameters", [])
        ]

    def type_of(self, schema: Json) -> str:
        """The type, or types, in words."""
        found = self.resolved(schema)
        if "anyOf" in found and "type" not in found:
            return " or ".join(dict.fromkeys(map(self.type_of, found["anyOf"])))
        kinds = found.get("type", "string" if "enum" in found else "")
        if kinds == "array":
            return f"array of {self.type_of(found['items']) or 'values'}"
        return kinds if isinstance(kinds, str) else " or ".join(kinds)

    def about(self, schema: Json) -> str:
        """What is said of it: its meaning, its choices, its default."""
        found = self.resolved(schema)
        listed = found.get("enum") or [
            choice
            for one in found.get("anyOf", [])
            for choice in self.resolved(one).get("enum", [])
        ]
        const = [f"Always `{json.dumps(found['const'])}`"] if "const" in found else []
        return " ".join(
            filter(
                None,
                (
                    found.get("description", ""),
                    _sentence([*(f"`{one}`" for one in listed), *const]),
                    f"Default `{found['default']}`." if "default" in found else "",
                ),
            )
        )

    def example(self, schema: Json) -> str:
        """The last example of a schema, as JSON; empty without one."""
        examples = self.resolved(schema).get("examples")
        return json.dumps(examples[-1], indent=2, ensure_ascii=False) if examples else ""

    def names(self, part: Json) -> Iterator[str]:
        """The components that a part refers to."""
        return iter(dict.fromkeys(referred(part)))


def html(document: Json) -> bytes:
    """The page."""
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    rendered = _template().generate(
        document=document, operations=operations, words=Words(document), marked=_marked
    )
    return bytes(rendered)


def _sentence(choices: list[str]) -> str:
    return f"{', '.join(choices)}." if choices else ""


def _marked(text: str) -> list[tuple[bool, str]]:
    """The text in parts, and whether each stood between back quotes."""
    return [(bool(index % 2), part) for index, part in enumerate(text.split("`")) if part]


@cache
def _template() -> Template:
    source = files("service.web.openapi") / "static/docs.html"
    return Template(source.read_text(), whitespace="oneline")
