"""The operations for the dashboard, the reader's rights, and the metrics."""

from __future__ import annotations

from service.web.openapi.parts import HTML, JSON, error, operation, redirect, response, responses
from service.web.openapi.schemas import Json, ref
from service.web.private.api_document.parts import RETRY, TEXT, object_of, reader_operation


def _me() -> Json:
    tenant = {"type": ["integer", "null"], "description": "null for an administrator."}
    body = object_of({"tenant_id": tenant, "signed_in": {"type": "boolean"}})
    reader = response("The reader.", {JSON: body}, always=("Cache-Control",))
    return reader_operation("me", "The reader of this token.", {200: reader})


def _metrics() -> Json:
    text = response("Prometheus' text format.", {"text/plain": TEXT})
    return reader_operation("metrics", "Metrics for Prometheus; for administrators.", {200: text})


def _asset_paths() -> Json:
    name = _path_parameter("name", "^[a-z]+([.](en|es))?[.](css|js)$")
    version = _path_parameter("version", "^[0-9a-f]{16}$")
    about = "A file that the pages load"
    return {
        "/assets/{name}": {"get": _asset("asset", f"{about}.", [name])},
        "/assets/{version}/{name}": {
            "get": _asset(
                "kept-asset", f"{about}; browsers keep that of the newest version.", [version, name]
            )
        },
    }


def _path_parameter(name: str, pattern: str) -> Json:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _asset(name: str, about: str, parameters: list[Json]) -> Json:
    tag = ("ETag", "Cache-Control")
    files = {"text/css": TEXT, "text/javascript": TEXT}
    by_status = {
        200: response("The file.", files, always=tag),
        304: response("Not modified.", always=tag),
        404: error("There is no such file."),
    }
    return operation(name, about, responses(by_status), parameters=parameters)


def page_paths() -> Json:
    """Return the paths by route."""
    page = response("The page.", {HTML: TEXT}, maybe=("Set-Cookie",))
    again = {status: response("The page with the reason.", {HTML: TEXT}) for status in (401, 403)}
    late = response("The page: too many wrong tokens.", {HTML: TEXT}, always=RETRY)
    busy = response(
        "Overloaded, or the tokens cannot be read.",
        {HTML: TEXT, JSON: ref("Error")},
        maybe=RETRY,
    )
    cookie = ("Set-Cookie",)
    token = TEXT | {"description": "As printed by `beaconlog token create`."}
    after = TEXT | {"description": "The path of this port to continue at."}
    form = object_of({"token": token, "next": after}, optional=("next",))
    following = {"name": "next", "in": "query", "schema": after}
    words = "en or es; a cookie remembers it. By default, and for others, the browser's language."
    language = {"name": "language", "in": "query", "schema": TEXT | {"description": words}}
    return {
        "/api/v1/me": {"get": _me()},
        "/metrics": {"get": _metrics()},
        "/": {
            "get": reader_operation(
                "dashboard",
                "The dashboard.",
                {200: page, 303: redirect("To `/signin`, without a session.")},
                parameters=[language],
            )
        },
        "/signin": {
            "get": operation(
                "signin-page",
                "The sign-in page.",
                responses({200: page}),
                parameters=[following, language],
            ),
            "post": operation(
                "signin",
                "Sign a browser in.",
                responses(
                    {
                        303: redirect("Signed in.", maybe=cookie),
                        **again,
                        413: error("The form is too large."),
                        429: late,
                        503: busy,
                    }
                ),
                requestBody={
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": form}},
                },
            ),
        },
        "/signout": {
            "post": reader_operation(
                "signout", "Sign a browser out.", {303: redirect("Signed out.", maybe=cookie)}
            )
        },
        **_asset_paths(),
    }
