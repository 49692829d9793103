"""Parts of the operations that need a token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.web.openapi.parts import error, operation, responses
from service.web.openapi.schemas import Json

TEXT: Json = {"type": "string"}
RETRY = ("Retry-After",)
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_READER_ERRORS: Mapping[int, Json] = {
    401: error("The token is missing or wrong.", always=("WWW-Authenticate",)),
    403: error("The token may not read this, or the request comes from another site."),
    429: error("Too many wrong tokens from this address, or too many questions.", always=RETRY),
    503: error("Overloaded, or a file that is needed cannot be read.", maybe=RETRY),
}
QUESTION_ERRORS: Mapping[int, Json] = {
    422: error("A parameter is not valid.", "Invalid"),
    504: error("It took longer than `report_timeout_s`."),
}


def reader_operation(name: str, summary: str, own: Mapping[int, Json], **more: object) -> Json:
    """Return an operation that needs a token."""
    by_status = responses({**_READER_ERRORS, **own})
    return operation(name, summary, by_status, security=_SECURITY, **more)


def object_of(properties: Json, *, optional: Iterable[str] = ()) -> Json:
    """Return the schema of an object with these properties and no other."""
    left_out = set(optional)
    return {
        "type": "object",
        "required": [name for name in properties if name not in left_out],
        "properties": properties,
        "additionalProperties": False,
    }
