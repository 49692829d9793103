"""Explain why a body does not follow its schema, in our own words, field by field.

The reference validator finds the faults. It is exact but slow, and a hostile body is large. So of
the children of an array or object it visits only those that the compiled validator rejects, and it
stops after `_FAULTS_MAX` faults. Messages name the field and the rule, never the value.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource

from service.collector.contract.rejection import Rejection

_FAULTS_MAX = 40
_FIELDS_MAX = 20
_NAME_CHARACTERS_MAX = 64

_TYPE_FIELDS = frozenset({"type", "event_type", "event"})

_TYPE_WORDS = {
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
"""The words for types. An array has none: only an empty one is valid, and stands for no object."""


class Fault(NamedTuple):
    """A broken rule: the dotted name of the field ("" for the body), the rule, and a message."""

    field: str
    rule: str
    message: str


class Explainer:
    """The reference validator of one schema."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        shared: Mapping[str, Any],
        is_within_limits: Callable[[Any], bool],
    ) -> None:
        """Create the validator.

        `is_within_limits` validates the limits (`$defs/limits` of the shared schema) that hold for
        every item, value and property name.
        """
        registry = Resource.from_contents(shared) @ Registry()
        reference = extend(Draft202012Validator, _gated_keywords(is_within_limits))
        self._validator = reference(schema, registry=registry)

    def explain(self, body: object) -> Rejection:
        """Return the rejection of a body that does not follow the schema."""
        errors = islice(self._validator.iter_errors(body), _FAULTS_MAX)
        faults = [fault for error in errors for fault in _faults(error)]
        return rejection(faults or [Fault("", "schema", "The body does not follow the schema.")])


def rejection(faults: list[Fault]) -> Rejection:
    """Return the rejection with status 422 for these faults; there must be at least one."""
    errors: dict[str, list[str]] = {}
    for fault in faults:
        name = fault.field or "body"
        if name in errors or len(errors) < _FIELDS_MAX:
            messages = errors.setdefault(name, [])
            messages += [fault.message] if fault.message not in messages else []
    return Rejection(_slug(faults), 422, _headline(errors), errors)


def fault_of(field: str, rule: str, words: str) -> Fault:
    """Return a fault whose message is "The <field> field <words>."."""
    return Fault(field, rule, f"The {field} field {words}." if field else f"The body {words}.")


def _slug(faults: list[Fault]) -> str:
    rules = {fault.rule for fault in faults}
    if rules == {"required"}:
        return "field-missing"
    if len(rules) == 1 and rules <= {"currency-unknown", "timestamp-invalid"}:
        return rules.pop()
    if {fault.field for fault in faults} <= _TYPE_FIELDS:
        return "type-not-allowed"
    return "payload-invalid"


def _headline(errors: Mapping[str, list[str]]) -> str:
    messages = [message for of_field in errors.values() for message in of_field]
    more = len(messages) - 1
    if more == 0:
        return messages[0]
    return f"{messages[0]} (and {more} more error{'s' if more > 1 else ''})"


def _faults(error: ValidationError) -> Iterator[Fault]:
    """Yield the faults of an error; for `anyOf`, those of its first schema."""
    field = ".".join(map(_name, error.absolute_path))
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield fault_of(".".join(filter(None, (field, name))), "required", "is required")
    elif error.validator == "anyOf":
        yield from _faults(error.context[0])
    else:
        words = _words(error)
        if "propertyNames" in error.absolute_schema_path:
            words = f"has a property whose name {words}"
        yield fault_of(field, error.validator, words)


def _name(part: str | int) -> str:
    text = str(part)[:_NAME_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "?" for character in text)


def _words(error: ValidationError) -> str:  # noqa: PLR0911 - one line per keyword reads as a table
    limit = error.validator_value
    match error.validator:
        case "type" | "maxItems":
            return f"must be {_type_words(error.schema['type'])}"
        case "enum":
            return f"must be one of: {', '.join(limit)}"
        case "pattern":
            return f"must be {error.schema.get('title', 'in the documented form')}"
        case "minLength":
            return f"must have at least {limit} character{'s' if limit != 1 else ''}"
        case "maxLength":
            return f"must have at most {limit} characters"
        case "minimum":
            return f"must be at least {limit}"
        case "maximum":
            return f"must be at most {limit}"
        case "maxProperties":
            return f"must have at most {limit} properties"
        case _:
            return "is not valid"


def _type_words(types: str | list[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_TYPE_WORDS[name] for name in names if name in _TYPE_WORDS)


def _gated_keywords(is_within_limits: Callable[[Any], bool]) -> dict[str, Any]:
    """Return keywords that visit only the children that are not within the limits."""

    def items(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
        for index, item in enumerate(instance if isinstance(instance, list) else ()):
            if not is_within_limits(item):
                yield from validator.descend(item, schema, path=index)

    def values(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
        for name, value in instance.items() if isinstance(instance, dict) else ():
            if not is_within_limits(value):
                yield from validator.descend(value, schema, path=name)

    def names(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
        for name in instance if isinstance(instance, dict) else ():
            if not is_within_limits(name):
                yield from validator.descend(name, schema)

    return {"items": items, "additionalProperties": values, "propertyNames": names}
