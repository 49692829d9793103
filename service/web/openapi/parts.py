"""What the operations of both documents have in common: headers, errors, and how each is put."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.web.http.limits import DISCARDED_BYTES_MAX, HEADERS_BYTES_MAX
from service.web.openapi.schemas import Json, ref

JSON = "application/json"
HTML = "text/html"
_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}

ERROR: Json = {
    "title": "Error",
    "type": "object",
    "required": ["success", "message"],
    "properties": {
        "success": {"const": False},
        "message": {"type": "string", "description": "What is wrong, for a person."},
    },
    "additionalProperties": False,
    "examples": [{"success": False, "message": "Tenant not found or not available"}],
}
INVALID: Json = {
    "title": "Invalid",
    "description": "An error, its messages by field or parameter. It repeats no value sent.",
    "type": "object",
    "required": ["success", "message"],
    "properties": {
        **ERROR["properties"],
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    },
    "additionalProperties": False,
    "examples": [
        {
            "success": False,
            "message": "The type field is required.",
            "errors": {"type": ["The type field is required."]},
        }
    ],
}
READINESS: Json = {
    "title": "Readiness",
    "type": "object",
    "required": ["status", "reasons"],
    "properties": {
        "status": {"enum": ["ready", "not ready"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
SCHEMAS: Json = {"Error": ERROR, "Invalid": INVALID, "Readiness": READINESS}

HEADERS: Mapping[str, Json] = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Allow": {"description": "The methods that the path has.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "Bearer.", "schema": _TEXT},
    "X-RateLimit-Limit": {
        "description": "Requests, or bytes, that can be saved up.",
        "schema": _COUNT,
    },
    "X-RateLimit-Remaining": {
        "description": "Requests, or bytes, that are left now.",
        "schema": _COUNT,
    },
    "X-RateLimit-Reset": {
        "description": "When to try again, in Unix seconds.",
        "schema": _COUNT,
    },
    "RateLimit-Policy": {
        "description": "Name, quota, window in seconds, and unit.",
        "schema": _TEXT,
    },
    "RateLimit": {"description": "Name, remaining, and seconds to wait.", "schema": _TEXT},
    "ETag": {"description": "Tag of this form of the file.", "schema": _TEXT},
    "Cache-Control": {"description": "How long it may be kept.", "schema": _TEXT},
    "Location": {"description": "Where to go on.", "schema": _TEXT},
    "Set-Cookie": {"description": "The cookie of the browser.", "schema": _TEXT},
    "Content-Disposition": {"description": "The file's name.", "schema": _TEXT},
    "Access-Control-Allow-Methods": {"description": "POST, OPTIONS.", "schema": _TEXT},
    "Access-Control-Allow-Headers": {"description": "Headers a page may send.", "schema": _TEXT},
    "Access-Control-Max-Age": {"description": "Seconds a browser may remember.", "schema": _COUNT},
}
STANDING = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
_REFUSAL = ("Retry-After", *STANDING, "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit")


def answer(
    description: str,
    content: Mapping[str, Json] | None = None,
    *,
    always: Iterable[str] = (),
    maybe: Iterable[str] = (),
) -> Json:
    """A response: its bodies by media type, headers that it always has, and that it may have."""
    headers = {name: HEADERS[name] | {"required": True} for name in always}
    headers |= {name: HEADERS[name] for name in maybe}
    found: Json = {"description": description}
    if headers:
        found["headers"] = headers
    if content:
        found["content"] = {media: {"schema": schema} for media, schema in content.items()}
    return found


def error(
    description: str,
    schema: str = "Error",
    *,
    always: Iterable[str] = (),
    maybe: Iterable[str] = (),
) -> Json:
    """A response whose body is one of the errors."""
    return answer(description, {JSON: ref(schema)}, always=always, maybe=maybe)


def redirect(description: str, *, maybe: Iterable[str] = ()) -> Json:
    """A response that sends the browser elsewhere. Its body says nothing."""
    return answer(description, always=("Location",), maybe=maybe)


BAD_HTTP = error("The request is not valid HTTP.")
ANYWHERE: Mapping[int, Json] = {
    400: BAD_HTTP,
    405: error("The path has no such method.", always=("Allow",)),
    413: error(f"The body is larger than {DISCARDED_BYTES_MAX >> 20} MiB; it is not read."),
    431: error(f"The headers are larger than {HEADERS_BYTES_MAX >> 10} KiB."),
    503: error("Too many connections, or the service stops.", always=("Retry-After",)),
}
"""What any operation may answer."""
THROTTLED = error("Too many requests.", always=_REFUSAL)


def responses(own: Mapping[int, Json], *, without: Iterable[int] = ()) -> Json:
    """An operation's responses: its own, and what any operation may answer."""
    found = {status: one for status, one in ANYWHERE.items() if status not in without} | dict(own)
    return {str(status): found[status] for status in sorted(found)}


def operation(name: str, summary: str, found: Json, **more: object) -> Json:
    """An operation of that id, with its responses."""
    return {"operationId": name, "summary": summary, **more, "responses": found}


def document(title: str, about: str, paths: Json, schemas: Json, **components: Json) -> Json:
    """A whole document. Its version is that of the contract: no answer tells the program's."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": about},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, **components},
    }


def on_both_ports(kind: str) -> Json:
    """The paths that either port has; `kind` is the port's."""
    is_ready = answer("It is able to do the work.", {JSON: ref("Readiness")})
    is_not_ready = answer(
        "It is not, and says why; or there are too many connections.",
        {JSON: {"anyOf": [ref("Readiness"), ref("Error")]}},
        maybe=("Retry-After",),
    )
    alive: Json = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": "alive"}},
    }
    unchanged = answer("It has not changed.", always=("ETag",))
    page = answer("The page.", {HTML: _TEXT}, always=("ETag",))
    return {
        "/healthz": {
            "get": operation(
                "healthz",
                "Whether the process answers.",
                responses({200: answer("Yes.", {JSON: alive})}),
            )
        },
        "/readyz": {
            "get": operation(
                "readyz",
                "Whether it can do the work.",
                responses({200: is_ready, 503: is_not_ready}),
            )
        },
        "/openapi.json": {
            "get": operation(
                "openapi",
                f"This document, of the {kind} port.",
                responses(
                    {
                        200: answer("The document.", {JSON: {"type": "object"}}, always=("ETag",)),
                        304: unchanged,
                    }
                ),
            )
        },
        "/docs": {
            "get": operation(
                "docs",
                "This document as a page that loads nothing from another host.",
                responses({200: page, 304: unchanged}),
            )
        },
        "/docs.css": {
            "get": operation(
                "docs-style",
                "The style of that page.",
                responses(
                    {
                        200: answer("The style.", {"text/css": _TEXT}, always=("ETag",)),
                        304: unchanged,
                    }
                ),
            )
        },
    }
