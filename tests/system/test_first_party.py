"""A path of the shop's own web server that passes on to the collector, by docs/integration.md.

nginx and Caddy run the lines of the page; those for Apache are only shown.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from doc_examples import TIMEOUT_S, blocks
from harness import Service, StartService, eventually
from ports import free_ports
from proxies import run_proxy
from wire import BROWSER, INTERACTIONS, Reply, read_reply

TITLE = "Under the shop's own domain"


@pytest.fixture(scope="module")
def service(start_shared_service: StartService) -> Service:
    return start_shared_service(workers=1, trusted_proxies="127.0.0.1", segment_age_s=0.1)


def visitor(service: Service, event_id: str) -> str:
    """Of a stored event, once it can be read."""

    def found() -> list[str]:
        lines = service.sealed()
        return [line["visitor_id"] for line in lines if line["event_id"] == event_id]

    (one,) = eventually(found)
    return one


def test_every_example_is_known() -> None:
    """One for another server needs its test."""
    assert list(dict(blocks(TITLE))) == [*SERVERS, "apache"]


def nginx(folder: Path, port: int, block: str) -> list[str]:
    """The command of an nginx with the block in its server."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {paths}\nserver {{ listen 127.0.0.1:{port};\n{block} }} }}\n"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]


def caddy(folder: Path, port: int, block: str) -> list[str]:
    """The command of a Caddy with the block in its site."""
    site = folder / "Caddyfile"
    site.write_text(f"{{\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{\n{block}\n}}\n")
    return ["caddy", "run", "--config", str(site), "--adapter", "caddyfile"]


SERVERS = {"nginx": nginx, "caddy": caddy}


@contextmanager
def first_party(name: str, folder: Path, upstream: str) -> Iterator[int]:
    """A web server of a shop that passes /stats/ on; its port."""
    [port] = free_ports(1)
    block = dict(blocks(TITLE))[name]
    assert block.count("127.0.0.1:8080") == 1
    line = SERVERS[name](folder, port, block.replace("127.0.0.1:8080", upstream))
    with run_proxy(line, folder, port):
        yield port


def ask(
    port: int, path: str, body: object = None, address: str = "127.0.0.1", **headers: str
) -> Reply:
    """One request from a loopback address."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    connection = HTTPConnection("127.0.0.1", port, TIMEOUT_S, source_address=(address, 0))
    with closing(connection):
        raw = None if body is None else json.dumps(body)
        connection.request("POST" if raw else "GET", path, raw, {"User-Agent": BROWSER, **sent})
        return read_reply(connection.getresponse())


@pytest.mark.usefixtures("one_day")
@pytest.mark.parametrize("name", SERVERS)
def test_visitors_behind_the_shops_own_path_are_told_apart(
    service: Service, tmp_path: Path, name: str
) -> None:
    """By their own addresses; the script is there too."""
    ids = [
        f"0193b2d0-7b1c-7d43-9a55-0c6f2f6a{place}{name[0].encode().hex()}"
        for place in range(10, 13)
    ]
    with first_party(name, tmp_path, urlsplit(service.url).netloc) as port:
        assert ask(port, "/stats/beacon.js").status == 200
        for event_id, address in zip(ids, ("127.0.4.1", "127.0.4.1", "127.0.4.2"), strict=True):
            view = {"tenant_id": 1, "type": "view", "event_id": event_id}
            forged = {"X_Forwarded_For": "203.0.113.9"}
            assert ask(port, f"/stats{INTERACTIONS}", view, address, **forged).status == 201
    one, again, other = (visitor(service, each) for each in ids)
    assert one == again != other


@pytest.mark.parametrize("name", SERVERS)
def test_the_shops_cookies_do_not_reach_the_collector(tmp_path: Path, name: str) -> None:
    """The visitor's address does, and what a browser says of itself."""
    seen: list[dict[str, str]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({key.lower(): text for key, text in self.headers.items()})
            seen[-1]["path"] = self.path
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with first_party(name, tmp_path, f"127.0.0.1:{server.server_port}") as port:
            browser = {"Cookie": "session=1", "Sec_Fetch_Site": "same-origin", "Sec_GPC": "1"}
            assert ask(port, "/stats/beacon.js?v=1", None, "127.0.4.3", **browser).status == 204
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    (headers,) = seen
    assert "cookie" not in headers
    assert (headers["path"], headers["x-forwarded-for"]) == ("/beacon.js?v=1", "127.0.4.3")
    assert (headers["sec-fetch-site"], headers["sec-gpc"]) == ("same-origin", "1")
    assert headers["user-agent"] == BROWSER
