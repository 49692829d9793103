"""Render an OpenAPI document as one page, without scripts.

Each operation is a section that the reader opens: parameters, fields of the body, an example, and
the responses.
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
    """A field, parameter or header: name, type, description, and whether it is required."""

    name: str
    type: str
    about: str
    required: bool


class Words:
    """The schemas of a document, described for people."""

    def __init__(self, document: Json) -> None:
        self._components: Json = document["components"]["schemas"]

    def resolved(self, schema: Json) -> Json:
        """Return the schema merged with those it refers to; its own keywords take precedence."""
        merged = dict(schema)
        while "$ref" in merged:
            name = merged.pop("$ref").rpartition("/")[2]
            if name == "limits":  # holds for every value; described once, at its component
                break
            merged = {**self._components[name], **merged}
        return merged

    def fields(self, schema: Json) -> list[Line]:
        """Return the properties of an object, or of the items of an array, as lines."""
        whole = self.resolved(schema)
        if whole.get("type") == "array":
            return self.fields(whole["items"])
        required = whole.get("required", [])
        return [
            Line(name, self.type_of(field), self.about(field), name in required)
            for name, field in whole.get("properties", {}).items()
        ]

    def parameters(self, operation: Json) -> list[Line]:
        """Return the parameters of an operation as lines."""
        return [
            Line(
                parameter["name"],
                self.type_of(parameter["schema"]),
                _joined(parameter.get("description", ""), self.about(parameter["schema"])),
                parameter.get("required", False),
            )
            for parameter in operation.get("parameters", [])
        ]

    def type_of(self, schema: Json) -> str:
        """Return the type, or types, in words."""
        whole = self.resolved(schema)
        if "anyOf" in whole and "type" not in whole:
            return " or ".join(dict.fromkeys(map(self.type_of, whole["anyOf"])))
        kinds = whole.get("type", "string" if "enum" in whole else "")
        if kinds == "array":
            return f"array of {self.type_of(whole['items']) or 'values'}"
        return kinds if isinstance(kinds, str) else " or ".join(kinds)

    def about(self, schema: Json) -> str:
        """Return the description, the choices and the default of a schema."""
        whole = self.resolved(schema)
        choices = whole.get("enum") or [
            choice
            for variant in whole.get("anyOf", [])
            for choice in self.resolved(variant).get("enum", [])
        ]
        const = [f"Always `{json.dumps(whole['const'])}`"] if "const" in whole else []
        listed = ", ".join([*(f"`{choice}`" for choice in choices), *const])
        return _joined(
            whole.get("description", ""),
            f"{listed}." if listed else "",
            f"Default `{whole['default']}`." if "default" in whole else "",
        )

    def example(self, schema: Json) -> str:
        """Return the last example of a schema as JSON; empty if it has none."""
        examples = self.resolved(schema).get("examples")
        return json.dumps(examples[-1], indent=2, ensure_ascii=False) if examples else ""

    def names(self, part: Json) -> Iterator[str]:
        """Return the names of the components that a part refers to."""
        return iter(dict.fromkeys(referred(part)))


def html(document: Json) -> bytes:
    """Return the page."""
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    rendered = _template().generate(
        document=document, operations=operations, words=Words(document), marked=_marked
    )
    return bytes(rendered)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _marked(text: str) -> list[tuple[bool, str]]:
    """Split the text at its back quotes; the flag of a part says whether it was quoted."""
    return [(bool(index % 2), part) for index, part in enumerate(text.split("`")) if part]


@cache
def _template() -> Template:
    source = files("service.web.openapi") / "static/docs.html"
    return Template(source.read_text(), whitespace="oneline")
