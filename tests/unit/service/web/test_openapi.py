"""The OpenAPI documents: whole, valid, and those of the routes that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator
from tornado.web import Application, RequestHandler

from etl import reports
from etl.lake.live.view import LiveView
from service.collector.client import ClientAddress
from service.collector.contract.contract import Contract
from service.shared.request_counters import RequestCounters
from service.web.health import Readiness
from service.web.openapi import page
from service.web.private import app as private_app
from service.web.private.access import Access
from service.web.private.api_document import private_document
from service.web.private.metrics import WarehouseMetrics
from service.web.private.report_pool import ReportPool
from service.web.private.tokens import TokenStore
from service.web.public import app as collect
from service.web.public.api_document import public_document
from service.web.public.app import InFlight, IngestRoute, Port
from service.web.public.paths import INGEST

DOCUMENTS = {"public": public_document, "private": private_document}
SCHEMA_FILES = {"Track": "track", "Conversion": "conversion", "Interaction": "interaction"}


@pytest.fixture(params=DOCUMENTS)
def port(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def document(port: str) -> dict[str, Any]:
    return DOCUMENTS[port]()


@pytest.fixture
def app(port: str, tmp_path: Path) -> Application:
    """The application that the document describes."""
    if port == "private":
        store = TokenStore(tmp_path / "tokens.json")
        pool = ReportPool(LiveView(tmp_path), 1.0)
        return private_app.make_app(
            pool, Access("", store), WarehouseMetrics(tmp_path, None), Readiness()
        )
    counters = RequestCounters(INGEST, 1)
    routes = [IngestRoute(path, None, counters.route(path, 0), 1000) for path in INGEST]  # type: ignore[arg-type]
    return collect.make_app(Port(routes, ClientAddress([]), InFlight(), Readiness()))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """To a component of the same document."""
    found = [value for key, value in _pairs(document) if key == "$ref"]
    assert found
    known = document["components"]["schemas"]
    assert [one for one in found if one.removeprefix("#/components/schemas/") not in known] == []


def test_every_component_is_of_use(document: dict[str, Any]) -> None:
    """Something refers to it."""
    used = {value.rpartition("/")[2] for key, value in _pairs(document) if key == "$ref"}
    assert set(document["components"]["schemas"]) - used <= {"Event"}


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    """Of the dialect that OpenAPI 3.1 has."""
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for key, value in _pairs(document["paths"]):
        if key == "schema":
            Draft202012Validator.check_schema(value)


def test_every_operation_is_whole(document: dict[str, Any]) -> None:
    """An id of its own, a summary, and a description for every response."""
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids) >= 9
    for one in operations:
        assert one["summary"]
        assert all(response["description"] for response in one["responses"].values())


def test_it_tells_the_routes_there_are(document: dict[str, Any], app: Application) -> None:
    """Each path is a route that has its methods, and each route is a path."""
    rules = app.wildcard_router.rules
    matched = set()
    for path, methods in document["paths"].items():
        filled = path.replace("{name}", "app.css").replace("{version}", "0123456789abcdef")
        (rule,) = [rule for rule in rules if rule.matcher.regex.match(filled)]  # type: ignore[attr-defined]
        matched.add(rule)
        handler: Any = rule.target
        assert {method.upper() for method in methods} <= set(handler.ALLOWED)
    assert [rule for rule in rules if rule not in matched] == []


def test_a_route_has_the_methods_it_allows(app: Application) -> None:
    """`Allow` names no method that is answered 405, and HEAD wherever there is GET."""
    for rule in app.wildcard_router.rules:
        handler: Any = rule.target
        assert ("GET" in handler.ALLOWED) == ("HEAD" in handler.ALLOWED)
        for method in handler.ALLOWED:
            implemented = getattr(handler, method.lower())
            assert implemented is not RequestHandler._unimplemented_method, (handler, method)


@pytest.mark.parametrize("name", SCHEMA_FILES)
def test_a_body_is_what_its_schema_file_says(name: str) -> None:
    """The component says yes and no to what the contract does."""
    document = public_document()
    resolver = {**document["components"]["schemas"][name], "components": document["components"]}
    schema_file = json.loads(Path(f"schemas/v1/{SCHEMA_FILES[name]}.json").read_text())
    check = getattr(Contract.load(), SCHEMA_FILES[name])
    good = schema_file["examples"]
    bad = [{}, [], {**good[0], "type": "nothing"}, {**good[0], "metadata": {"x": "\0"}}]
    validator = Draft202012Validator(resolver)
    assert good
    assert all(validator.is_valid(body) for body in good)
    for body in good + bad:
        checked = check(body, json.dumps(body).encode())
        assert validator.is_valid(body) == (not hasattr(checked, "slug"))


def test_a_report_is_told_by_its_sql() -> None:
    """Its parameters and columns are in the document."""
    document = private_document()
    for name in reports.names():
        operation = document["paths"][f"/api/v1/reports/{name}"]["get"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert names == {*reports.load(name).parameters, "format", "version"}
    row = document["components"]["schemas"]["SummaryRow"]
    assert {"tenant_id", "events", "transactions_change"} <= set(row["required"])
    assert row["properties"]["events"] == {"type": ["integer", "null"]}


def test_a_default_is_the_one_that_is_used() -> None:
    """Where a parameter names its default; that of `tz` depends on the shop."""
    document = private_document()
    for name in reports.names():
        defaults = reports.load(name).parameters
        for one in document["paths"][f"/api/v1/reports/{name}"]["get"]["parameters"]:
            if one["name"] in defaults and one["name"] != "tz":
                default = defaults[one["name"]]
                text = "false" if default is False else default
                assert one["schema"].get("default") == text, (name, one["name"])


def test_the_examples_of_errors_follow_their_schemas(document: dict[str, Any]) -> None:
    """An example is valid."""
    known = document["components"]["schemas"]
    for name in ("Error", "Invalid"):
        for example in known[name]["examples"]:
            jsonschema.validate(example, known[name], cls=Draft202012Validator)


def test_the_page_tells_every_operation(document: dict[str, Any]) -> None:
    """By its path and id, each of its links leading somewhere, and nothing from elsewhere."""
    shown = page.html(document).decode()
    for path, methods in document["paths"].items():
        assert f'<code class="path">{path}</code>' in shown
        assert all(f'id="{one["operationId"]}"' in shown for one in methods.values())
    anchors = set(re.findall(r'href="#([^"]+)"', shown))
    assert anchors <= set(re.findall(r'id="([^"]+)"', shown))
    assert set(re.findall(r'(?:src|href)="([^#"][^"]*)"', shown)) == {"/docs.css", "/openapi.json"}
    assert "<script" not in shown
    assert "style=" not in shown


def _pairs(part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield key, value
            yield from _pairs(value)
    elif isinstance(part, list):
        for item in part:
            yield from _pairs(item)
