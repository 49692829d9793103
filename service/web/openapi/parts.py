"""Parts of both OpenAPI documents: headers, errors, common paths, and builders."""

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
        "message": {"type": "string", "description": "The reason, for a person."},
    },
    "additionalProperties": False,
    "examples": [{"success": False, "message": "Tenant not found or not available"}],
}
INVALID: Json = {
    "title": "Invalid",
    "description": "Messages by field or parameter. They repeat no value of the request.",
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
        "degraded": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What does not work as it should, although the process does its work.",
        },
        "directory_age_s": {
            "type": "number",
            "description": "Seconds since a directory on a server was last read.",
        },
    },
    "additionalProperties": False,
}
SCHEMAS: Json = {"Error": ERROR, "Invalid": INVALID, "Readiness": READINESS}

HEADERS: Mapping[str, Json] = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Allow": {"description": "The methods that the path has.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "Bearer.", "schema": _TEXT},
    "X-RateLimit-Limit": {
        "description": "Size of the bucket, in requests or bytes.",
        "schema": _COUNT,
    },
    "X-RateLimit-Remaining": {
        "description": "Requests or bytes left in the bucket.",
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
    "RateLimit": {"description": "Name, remaining quota, and seconds to wait.", "schema": _TEXT},
    "ETag": {"description": "Entity tag of this encoding of the file.", "schema": _TEXT},
    "X-Next-Cursor": {
        "description": "The parameter `cursor` for the next rows, if there are more.",
        "schema": _TEXT,
    },
    "Cache-Control": {"description": "How long a cache may keep the response.", "schema": _TEXT},
    "Location": {"description": "The URL to continue at.", "schema": _TEXT},
    "Set-Cookie": {"description": "The session cookie.", "schema": _TEXT},
    "Content-Disposition": {"description": "The name of the file.", "schema": _TEXT},
    "Access-Control-Allow-Methods": {"description": "POST, OPTIONS.", "schema": _TEXT},
    "Access-Control-Allow-Headers": {
        "description": "Headers that a page may send.",
        "schema": _TEXT,
    },
    "Access-Control-Max-Age": {
        "description": "Seconds a browser may cache this.",
        "schema": _COUNT,
    },
}
RATE_LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
THROTTLED_HEADERS = (
    "Retry-After",
    *RATE_LIMIT_HEADERS,
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
)


def response(
    description: str,
    content: Mapping[str, Json] | None = None,
    *,
    always: Iterable[str] = (),
    maybe: Iterable[str] = (),
) -> Json:
    """Return a response. `content` maps media types to schemas.

    `always` names the headers that it always has, `maybe` those that it may have.
    """
    headers = {name: HEADERS[name] | {"required": True} for name in always}
    headers |= {name: HEADERS[name] for name in maybe}
    built: Json = {"description": description}
    if headers:
        built["headers"] = headers
    if content:
        built["content"] = {media: {"schema": schema} for media, schema in content.items()}
    return built


def error(
    description: str,
    schema: str = "Error",
    *,
    always: Iterable[str] = (),
    maybe: Iterable[str] = (),
) -> Json:
    """Return a response whose body is one of the error schemas."""
    return response(description, {JSON: ref(schema)}, always=always, maybe=maybe)


def redirect(description: str, *, maybe: Iterable[str] = ()) -> Json:
    """Return a redirect; its body is empty or irrelevant."""
    return response(description, always=("Location",), maybe=maybe)


BAD_HTTP = error("The request is not valid HTTP.")
ANYWHERE: Mapping[int, Json] = {
    400: BAD_HTTP,
    405: error("The path does not support this method.", always=("Allow",)),
    413: error(f"The body exceeds {DISCARDED_BYTES_MAX >> 20} MiB and is not read."),
    431: error(f"The headers exceed {HEADERS_BYTES_MAX >> 10} KiB."),
    503: error("Too many connections, or the service is stopping.", always=("Retry-After",)),
}
"""The responses that every operation may have."""
THROTTLED = error("Too many requests.", always=THROTTLED_HEADERS)


def responses(own: Mapping[int, Json], *, without: Iterable[int] = ()) -> Json:
    """Return an operation's responses: its own and those of ANYWHERE."""
    common = {status: part for status, part in ANYWHERE.items() if status not in without}
    merged = common | dict(own)
    return {str(status): merged[status] for status in sorted(merged)}


def operation(name: str, summary: str, by_status: Json, **more: object) -> Json:
    """Return an operation with this id and its responses by status."""
    return {"operationId": name, "summary": summary, **more, "responses": by_status}


def document(title: str, description: str, paths: Json, schemas: Json, **components: Json) -> Json:
    """Return a document with the version of the contract, which hides that of the program."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, **components},
    }


def on_both_ports(port: str) -> Json:
    """Return the paths that both ports have, for the `public` or `private` port."""
    is_ready = response("Ready.", {JSON: ref("Readiness")})
    is_not_ready = response(
        "Not ready, with the reasons; or too many connections.",
        {JSON: {"anyOf": [ref("Readiness"), ref("Error")]}},
        maybe=("Retry-After",),
    )
    alive: Json = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": "alive"}},
    }
    unchanged = response("Not modified.", always=("ETag",))
    page = response("The page.", {HTML: _TEXT}, always=("ETag",))
    return {
        "/healthz": {
            "get": operation(
                "healthz",
                "Liveness: the process serves.",
                responses({200: response("Alive.", {JSON: alive})}),
            )
        },
        "/readyz": {
            "get": operation(
                "readyz",
                "Readiness: the process can do its work.",
                responses({200: is_ready, 503: is_not_ready}),
            )
        },
        "/openapi.json": {
            "get": operation(
                "openapi",
                f"This document, of the {port} port.",
                responses(
                    {
                        200: response(
                            "The document.", {JSON: {"type": "object"}}, always=("ETag",)
                        ),
                        304: unchanged,
                    }
                ),
            )
        },
        "/docs": {
            "get": operation(
                "docs",
                "This document as a page; it loads nothing from another host.",
                responses({200: page, 304: unchanged}),
            )
        },
        "/docs.css": {
            "get": operation(
                "docs-style",
                "The style sheet of that page.",
                responses(
                    {
                        200: response("The style sheet.", {"text/css": _TEXT}, always=("ETag",)),
                        304: unchanged,
                    }
                ),
            )
        },
    }
