"""Limits, throttles and refusals that need a service set up for them."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import traffic_tools
from http_tools import CONVERSION, INTERACTIONS, TRACK, post, request
from street import street_files  # noqa: F401  (fixtures)
from traffic_tools import Service, eventually

EVENT = {"tenant_id": "1", "type": "call"}
VIEW = {"tenant_id": 1, "type": "view"}
REFUSED_HEADERS = (
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit",
    "ratelimit-policy",
)


@contextmanager
def serving(
    tmp_path: Path, street_files: tuple[Path, Path], role: str = "serve", **settings: object
) -> Iterator[Service]:
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    traffic_tools.import_directory(*street_files, data=data)
    with traffic_tools.running(role, data, **settings) as service:
        yield service


# -- throttle ---------------------------------------------------------------------------------


def test_a_client_past_its_burst_is_told_when_to_come_back(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """429 with every header, on both routes; behind a proxy its client counts."""
    with serving(tmp_path, street_files, throttle_api="1/min burst 3") as service:
        for remaining in ("2", "1", "0"):
            answer = post(service.url, TRACK, EVENT, X_Forwarded_For="198.51.100.7")
            assert answer.status == 202
            assert answer.headers["x-ratelimit-limit"] == "3"
            assert answer.headers["x-ratelimit-remaining"] == remaining
        for path in (TRACK, CONVERSION):
            refused = post(service.url, path, EVENT, X_Forwarded_For="198.51.100.7")
            assert (refused.status, refused.body["success"]) == (429, False)
            assert [name for name in REFUSED_HEADERS if name not in refused.headers] == []
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            reset = int(refused.headers["x-ratelimit-reset"])
            assert 0 <= reset - time.time() <= 62
            assert refused.headers["ratelimit-policy"] == '"api";q=3;w=180'
        assert post(service.url, TRACK, EVENT, X_Forwarded_For="198.51.100.8").status == 202
        assert post(service.url, INTERACTIONS, VIEW, X_Forwarded_For="198.51.100.7").status == 201


def test_an_untrusted_peer_cannot_choose_its_address(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """X-Forwarded-For of a stranger is ignored; refusals of payloads count too."""
    settings = {"throttle_api": "1/h burst 2", "trusted_proxies": ""}
    with serving(tmp_path, street_files, **settings) as service:
        statuses = [
            post(service.url, TRACK, body, X_Forwarded_For=f"198.51.100.{n}").status
            for n, body in enumerate([{}, EVENT, EVENT])
        ]
    assert statuses == [422, 202, 429]


def test_interactions_are_throttled_by_tenant_and_strangers_by_address(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """One tenant's burst is its own; unknown tenants share their sender's."""
    with serving(tmp_path, street_files, throttle_tenant_aware="1/h burst 2") as service:

        def sent(tenant: int, client: str) -> int:
            body = {"tenant_id": tenant, "type": "view"}
            return post(service.url, INTERACTIONS, body, X_Forwarded_For=client).status

        assert [sent(1, f"198.51.100.{n}") for n in range(3)] == [201, 201, 429]
        assert sent(2, "198.51.100.1") == 201
        assert [sent(900 + n, "198.51.100.9") for n in range(3)] == [202, 202, 429]
        assert sent(900, "198.51.100.10") == 202


def test_a_throttled_route_shows_its_limit_on_every_answer(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """Refusals of payloads included; with the throttle off there is nothing to show."""
    rates = {"throttle_api": "60/min burst 50", "throttle_tenant_aware": "off"}
    with serving(tmp_path, street_files, **rates) as service:
        for body in (EVENT, {}, b"{", {"tenant_id": "9", "type": "call"}):
            assert post(service.url, TRACK, body).headers["x-ratelimit-limit"] == "50"
        assert "x-ratelimit-limit" not in post(service.url, INTERACTIONS, VIEW).headers


# -- the disk and slow clients -----------------------------------------------------------------


def test_a_disk_that_is_nearly_full_refuses_and_says_so(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """503 with Retry-After, not ready with the reason, yet alive; a wrong payload stays a 4xx."""
    with serving(tmp_path, street_files, disk_free_bytes_min=1 << 50) as service:
        for path, body in ((TRACK, EVENT), (INTERACTIONS, VIEW)):
            refused = post(service.url, path, body)
            assert (refused.status, refused.body["success"]) == (503, False)
            assert int(refused.headers["retry-after"]) >= 1
        assert post(service.url, CONVERSION, {"tenant_slug": "la-colmena"}).status == 503
        assert post(service.url, TRACK, {}).status == 422
        ready = request(service.url, "GET", "/readyz")
        assert (ready.status, ready.body["reasons"]) == (503, ["the disk is full"])
        assert request(service.url, "GET", "/healthz").status == 200
        service.drain()


def test_a_client_that_never_ends_its_headers_is_cut_off(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """After 10 s the server closes."""
    with serving(tmp_path, street_files, "collect") as service:
        address = urlsplit(service.url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as peer:
            peer.sendall(b"POST /api/v1/interactions HTTP/1.1\r\nHost: shop\r\nX-Slow: ")
            began_s = time.monotonic()
            assert peer.recv(1) == b""
            assert time.monotonic() - began_s > 5


# -- the private port -------------------------------------------------------------------------


def test_the_private_port_asks_for_its_token(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """401 without or with another; health needs none."""
    with serving(tmp_path, street_files, "warehouse", reports_token="s3cret") as service:
        url = service._url("reports")
        path = "/api/v1/reports/summary"
        assert request(url, "GET", path).status == 401
        assert request(url, "GET", path, headers={"Authorization": "Bearer other"}).status == 401
        assert request(url, "GET", path, headers={"Authorization": "Bearer s3cret"}).status == 200
        assert request(url, "GET", "/healthz").status == 200
        assert "s3cret" not in service.log.read_text()


def test_reports_over_http_name_what_is_wrong(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """404 lists the reports, 422 names the parameters, and nothing sent is repeated."""
    with serving(tmp_path, street_files) as service:
        url = service._url("reports")
        unknown = request(url, "GET", "/api/v1/reports/nonsense")
        assert unknown.status == 404
        assert "funnel" in unknown.body["reports"]
        wrong = "from=MARK&to=2026-02-30&interval=eon&tz=Mars/Base&bots=perhaps&colour=red"
        answer = request(url, "GET", f"/api/v1/reports/timeseries?{wrong}")
        assert answer.status == 422
        assert sorted(answer.body["errors"]) == ["bots", "colour", "from", "interval", "to", "tz"]
        assert "MARK" not in str(answer.body)
        for query in ("tenant=no-such-slug", "version=99", "version=x", "format=xml", "limit=0"):
            answer = request(url, "GET", f"/api/v1/reports/recent?{query}")
            assert (answer.status, list(answer.body["errors"])) == (422, [query.split("=")[0]])
        listed = request(url, "GET", "/api/v1/reports")
        assert {item["name"] for item in listed.body["reports"]} >= {"summary", "funnel", "recent"}
        csv = request(url, "GET", "/api/v1/reports/funnel?format=csv")
        assert csv.headers["content-type"].startswith("text/csv")
        assert csv.body.startswith(b"step,visitors,events\r\nview,0,0\r\n")
        assert request(url, "POST", "/api/v1/reports/funnel").status == 405


def test_csv_cells_are_no_formulas(tmp_path: Path, street_files: tuple[Path, Path]) -> None:
    """A transaction id that a spreadsheet would run is defused."""
    with serving(tmp_path, street_files, segment_age_s=0.1) as service:
        body = {"tenant_slug": "la-colmena", "transaction_id": "=1+1", "value": -5}
        assert post(service.url, CONVERSION, body).body["status"] == "ok"
        url = f"{service._url('reports')}"

        def shown() -> bytes:
            answer = request(url, "GET", "/api/v1/reports/recent?format=csv")
            return answer.body if b"purchase" in answer.body else b""

        text = eventually(shown, timeout_s=60, what="the event is reported")
    assert b",'=1+1," in text
    assert b",-5.0000," in text


# -- the directory ----------------------------------------------------------------------------


def test_a_tenant_imported_during_a_run_is_accepted_and_a_closed_one_refused(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """Without a restart, known as missing before or not."""
    data = tmp_path / "data"
    with serving(tmp_path, street_files, directory_refresh_s=1) as service:
        new = {"tenant_id": "77", "type": "call"}
        assert post(service.url, TRACK, new).status == 404
        late = tmp_path / "late.csv"
        late.write_text("id,uuid,slug,name,status\n77,,late,Late,active\n")
        assert traffic_tools.run("directory", "import", late, data=data).returncode == 0
        eventually(
            lambda: post(service.url, TRACK, new).status == 202, timeout_s=60, what="it is accepted"
        )
        late.write_text("id,uuid,slug,name,status\n77,,late,Late,closed\n")
        assert traffic_tools.run("directory", "import", late, data=data).returncode == 0
        eventually(
            lambda: post(service.url, TRACK, new).status == 404, timeout_s=60, what="it is refused"
        )


# -- starting and stopping --------------------------------------------------------------------

BAD_STARTS = {
    "port": {"port": "http"},
    "workers": {"workers": 0},
    "prot": {"prot": 1},
    "throttle_api": {"throttle_api": "fast"},
    "reports_token": {"reports_host": "0.0.0.0"},
    "throttle_tenant_bytes": {"throttle_tenant_bytes": "4MiB/min burst 1KiB"},
    "needs at least 16": {"reports_host": "0.0.0.0", "reports_token": "short"},
    "reports_open": {"reports_host": "0.0.0.0", "reports_open": "true"},
    "trusted_proxies": {"trusted_proxies": "10.0.0.1/99"},
}


@pytest.mark.parametrize("key", BAD_STARTS)
def test_a_bad_setting_stops_the_start_with_one_line(tmp_path: Path, key: str) -> None:
    """Exit code 2, the setting named."""
    done = traffic_tools.run("serve", data=tmp_path / "data", **BAD_STARTS[key])
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert key in lines[0].lower()


def test_bad_files_stop_the_start_with_one_line(tmp_path: Path) -> None:
    """A settings file, a data folder, a directory database, a log of a later version."""
    cases = []
    config = tmp_path / "broken.toml"
    config.write_text("port = = 1")
    cases.append((["serve", "--config", config], tmp_path / "a"))
    (tmp_path / "file").write_text("")
    cases.append((["serve"], tmp_path / "file"))
    garbage = tmp_path / "garbage"
    garbage.mkdir()
    (garbage / "directory.db").write_bytes(b"no database" * 100)
    cases.append((["serve"], garbage))
    series = tmp_path / "later" / "log" / "h-w0-00000000"
    series.mkdir(parents=True)
    (series / "series.json").write_text('{"format": 9}')
    cases.append((["serve"], tmp_path / "later"))
    for arguments, data in cases:
        done = traffic_tools.run(*arguments, data=data, port=0, reports_port=0)
        problems = [line for line in done.stderr.splitlines() if " INFO " not in line]
        assert (done.returncode, len(problems)) == (2, 1), done.stderr
        assert problems[0].startswith("beaconlog: ")


def test_a_port_in_use_stops_the_start_with_one_line(tmp_path: Path) -> None:
    """The port is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = traffic_tools.run("serve", data=tmp_path / "data", host="127.0.0.1", port=port)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_supervisor_that_is_killed_leaves_no_children(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """They drain by themselves, and what was acked is sealed."""
    data = tmp_path / "data"
    with serving(tmp_path, street_files, segment_age_s=600) as service:
        assert post(service.url, TRACK, EVENT).status == 202
        children = service.children()
        os.kill(service.process.pid, signal.SIGKILL)
        eventually(lambda: not any(_alive(pid) for pid in children), timeout_s=60, what="they end")
    assert len(list(data.glob("log/*/*.ndjson"))) == 1
    assert list(data.glob("log/*/*.open")) == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
