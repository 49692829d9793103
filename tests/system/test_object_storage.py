"""Log and lake in object storage, for real: SeaweedFS, collectors, warehouses, and failures."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pytest
import seaweed
from flipping_proxy import FlippingProxy
from harness import REPOSITORY, Service, environment, eventually, run_command
from metrics_tools import told
from obstore.exceptions import BaseError
from obstore.store import S3Store
from ports import free_ports
from pyarrow import parquet
from seaweed import SECRET_KEY, SeaweedFS
from wire import BROWSER, CONVERSION, TRACK, signature

from etl.object_store import ObjectExists, ObjectStore

if TYPE_CHECKING:
    from harness import StartService

PATIENCE_S = 120.0
EVENT = {"tenant_id": "1", "type": "call"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
QUICK = {"compact_interval_s": 1, "segment_age_s": 0.2, "segment_grace_s": 1}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    yield from seaweed.running(tmp_path_factory.mktemp("seaweed"))


@pytest.fixture(autouse=True)
def credentials(store: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process, and so of those that it starts."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)


def send(service: Service, count: int = 5, agent: str = BROWSER, **fields: object) -> list[str]:
    """Send events that must be taken; their ids."""
    headers = {"User-Agent": agent}
    replies = [service.post(TRACK, EVENT | fields, headers) for _ in range(count)]
    assert {reply.status for reply in replies} == {202}
    return [str(reply.body["event_id"]) for reply in replies]


def counted(service: Service, version: int | None = None) -> int | None:
    """The number of events by the summary report, of a pinned version of the lake if there is one.

    None while it cannot be complete, or if there is no such version.
    """
    pin = "" if version is None else f"?version={version}"
    reply = service.get_private(f"/api/v1/reports/summary{pin}")
    return sum(row["events"] for row in reply.body["rows"]) if reply.status == 200 else None


def snapshot_version(service: Service) -> int:
    """The version of the lake that reports show; -1 before the first."""
    reply = service.get_private("/api/v1/reports/summary")
    version = reply.body["snapshot"]["version"] if reply.status == 200 else None
    return -1 if version is None else int(version)


def degraded(service: Service) -> list[str]:
    """The list `degraded` of the collector; it is ready all the while."""
    reply = service.get("/readyz")
    assert reply.status == 200
    found: list[str] = reply.body.get("degraded", [])
    return found


def test_an_outage_of_the_storage_loses_nothing(
    start_service: StartService, store: SeaweedFS
) -> None:
    """Collectors accept events, say that they wait, and ship them once the storage is back."""
    service = start_service(log_url="s3://outage/log", **QUICK)
    send(service)
    eventually(lambda: counted(service) == 5, PATIENCE_S)
    store.kill()
    send(service)
    why, *_ = eventually(lambda: degraded(service), PATIENCE_S)
    assert "check AWS_ENDPOINT_URL" in why
    eventually(lambda: counted(service) is None, PATIENCE_S)
    eventually(lambda: service.get_private("/readyz").status == 503, PATIENCE_S)
    store.start()
    eventually(lambda: not degraded(service), PATIENCE_S)
    eventually(lambda: counted(service) == 10, PATIENCE_S)
    assert service.stop() == 0
    assert service.command("ship").returncode == 0  # what a slow drain may have left
    done = service.command("check", "--json")
    assert (done.returncode, json.loads(done.stdout)["unshipped_segments"]) == (0, 0)


def test_the_disk_of_a_killed_machine_is_rescued(start_service: StartService) -> None:
    """With every event that it acknowledged, sealed or not."""
    machine = start_service(role="collect", log_url="s3://rescue/log", segment_age_s=600)
    send(machine)
    machine.kill()
    shipped = machine.command("ship", str(machine.data))
    assert (shipped.returncode, shipped.stdout) == (0, "1 segments shipped, 0 wait\n")
    report = machine.command("report", "summary", "--format", "json")
    assert sum(row["events"] for row in json.loads(report.stdout)["rows"]) == 5
    query = machine.command("sql", "SELECT count(*) AS events FROM events", "--json")
    assert json.loads(query.stdout)["rows"] == [{"events": 5}]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "hush-1"}, "correct AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "hush-2"}, "correct AWS_ACCESS_KEY_ID"),
        ({}, "the bucket does not exist; create it"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "check AWS_ENDPOINT_URL"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    tmp_path: Path, store: SeaweedFS, changed: Mapping[str, str], message: str
) -> None:
    """In one line, with exit code 2."""
    settings = {"data": tmp_path, "log_url": "s3://missing/log"}
    env = environment(REPOSITORY, settings) | store.environment | changed
    done = run_command(env, tmp_path, ("compact",))
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not any(secret in done.stderr for secret in (SECRET_KEY, "hush"))


def test_warehouses_on_several_machines_share_a_lake(start_service: StartService) -> None:
    """One collects and compacts, another one begins with an empty folder; both show all of it."""
    places = {"log_url": "s3://several/log", "lake_url": "s3://several/lake"}
    first = start_service(**places, **QUICK)
    send(first, tenant_id="2")
    eventually(lambda: counted(first, snapshot_version(first)) == 5, PATIENCE_S)
    other = start_service(role="warehouse", name="other", **places, **QUICK)
    eventually(lambda: counted(other) == 5, PATIENCE_S)
    pinned = snapshot_version(other)
    send(first)
    eventually(lambda: counted(other) == 10, PATIENCE_S)
    assert first.stop() == 0
    assert first.command("ship").returncode == 0
    eventually(lambda: other.command("compact", "--json").returncode == 0, PATIENCE_S)
    eventually(lambda: counted(other) == 10, PATIENCE_S)
    query = other.command("sql", "SELECT count(*) AS events FROM events", "--json")
    assert json.loads(query.stdout)["rows"] == [{"events": 10}]
    assert first.command("maintain").returncode == 0
    assert (counted(other, pinned), counted(other)) == (5, 10)
    assert other.command("check").returncode == 0
    copy = other.data.with_name("backup")
    copied = other.command("backup", str(copy), "--json")
    assert json.loads(copied.stdout)["rows"] == 10
    apart = environment(REPOSITORY, {"data": copy, "log_url": "", "lake_url": ""})
    assert run_command(apart, copy, ("check",)).returncode == 0
    of_two, of_one = (rb"tenant_id\W+%d\b" % tenant for tenant in (2, 1))
    assert objects_with("several", of_two)
    erased = other.command("erase", "--tenant", "2", "--yes", "--json")
    assert (erased.returncode, json.loads(erased.stdout)["rows"]) == (0, 5)
    assert (counted(other, pinned), counted(other)) == (None, 5)
    report = first.command("report", "summary", "--format", "json")
    assert sum(row["events"] for row in json.loads(report.stdout)["rows"]) == 5
    assert objects_with("several", of_one)
    assert objects_with("several", of_two) == []


@pytest.mark.usefixtures("one_day")
def test_a_visitor_is_erased_from_the_bucket(start_service: StartService) -> None:
    """From the lake, and from the log whose lines are not compacted yet; others stay."""
    places = {"log_url": "s3://visitors/log", "lake_url": "s3://visitors/lake"}
    service = start_service(**places, **QUICK | {"compact_interval_s": 600})
    send(service)
    send(service, 3, agent=FIREFOX)
    eventually(lambda: counted(service) == 8, PATIENCE_S)
    eventually(lambda: compacted(service) == 8, PATIENCE_S)
    send(service, 2, agent=FIREFOX)
    eventually(lambda: counted(service) == 10, PATIENCE_S)
    query = "SELECT visitor_id FROM events GROUP BY 1 ORDER BY min(received_at)"
    found = json.loads(service.command("sql", query, "--json").stdout)["rows"]
    kept, visitor = (row["visitor_id"] for row in found)
    assert objects_with("visitors", visitor.encode())
    erase = ("erase", "--visitor", visitor, "--yes", "--json")
    assert json.loads(service.command(*erase).stdout)["rows"] == 5
    # The machine keeps the newest segment of its worker until there is another one.
    assert service.command(*erase).returncode == 1
    send(service)
    eventually(lambda: service.command(*erase).returncode == 0, PATIENCE_S)
    eventually(lambda: counted(service) == 10, PATIENCE_S)
    assert objects_with("visitors", visitor.encode()) == []
    assert objects_with("visitors", kept.encode())
    assert service.command("check").returncode == 0


def compacted(service: Service) -> int | None:
    """The number of events in the lake after a compaction now."""
    service.command("compact")
    return counted(service, snapshot_version(service))


def objects_with(bucket: str, pattern: bytes) -> list[str]:
    """The objects of a bucket that match: in text, statistics or rows of Parquet files."""
    client = S3Store(bucket, client_options={"allow_http": True})
    found = []
    for key in (item["path"] for item in obstore.list(client).collect()):
        content = bytes(obstore.get(client, key).bytes())
        if key.endswith(".parquet"):
            content = repr(parquet.read_table(io.BytesIO(content)).to_pylist()).encode()
        if re.search(pattern, content):
            found.append(key)
    return found


WRITERS, KEYS = range(6), tuple(f"key-{number}" for number in range(20))


def test_of_six_writers_of_a_key_one_creates_it() -> None:
    """Each by a client of its own, and all keys at once; what the one put stays."""
    url = "s3://writers/keys"
    bucket, *clients = (ObjectStore.open(url, timeout_s=PATIENCE_S) for _ in (0, *WRITERS))
    bucket.put("made-before", b"the bucket, too")
    rivals = [(key, writer) for key in KEYS for writer in WRITERS]  # those of a key in turn

    def creates(key: str, writer: int) -> bool:
        with suppress(ObjectExists):
            clients[writer].put_new(key, b"of writer %d" % writer)
            return True
        return False

    with ThreadPoolExecutor(len(rivals)) as pool:
        created = list(pool.map(lambda rival: creates(*rival), rivals))
    winners = [rival for rival, has_won in zip(rivals, created, strict=True) if has_won]
    assert [key for key, _ in winners] == [*KEYS]
    assert [bucket.get(key) for key in KEYS] == [b"of writer %d" % writer for _, writer in winners]


WORD = b"a-word-that-a-faulty-device-changes"


@pytest.mark.parametrize("checksum", [{}, {"checksum_algorithm": "SHA256"}])
def test_a_wrong_checksum_is_refused(store: SeaweedFS, checksum: dict[str, Any]) -> None:
    """It is what notices a changed body: here nothing else does, because no payload is signed."""
    with FlippingProxy(store.port, WORD).running() as proxy:
        client = S3Store(
            "checksums",
            endpoint=proxy.url,
            client_options={"allow_http": True},
            unsigned_payload=True,
            **checksum,
        )
        if not checksum:
            obstore.put(client, "changed", WORD, use_multipart=False)
            assert bytes(obstore.get(client, "changed").bytes()) != WORD
        else:
            with pytest.raises(BaseError, match=r"(?i)checksum|digest"):
                obstore.put(client, "refused", WORD, use_multipart=False)
            assert "refused" not in [item["path"] for item in obstore.list(client).collect()]
        assert proxy.changes


def test_a_segment_that_is_changed_on_its_way_is_put_again(
    start_service: StartService, store: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it arrives as it is on the disk; nobody sees the other one.

    Meanwhile `/readyz` and `/metrics` tell, of a machine that only collects and ships.
    """
    [port] = free_ports(1)
    with FlippingProxy(store.port, WORD).running() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        settings = {"log_url": "s3://changed/log", "segment_age_s": 0.2, "metrics_port": port}
        machine = start_service(role="collect", **settings)
        send(machine, metadata={"word": WORD.decode()})
        eventually(lambda: proxy.changes and degraded(machine), PATIENCE_S)
        eventually(lambda: min(unshipped(port)) > 0, PATIENCE_S)
        report = ("report", "summary", "--format", "json")
        assert json.loads(machine.command(*report).stdout)["rows"] == []
        proxy.is_faulty = False
        eventually(lambda: not degraded(machine), PATIENCE_S)
        eventually(lambda: unshipped(port) == [0, 0, 0], PATIENCE_S)
        assert machine.stop() == 0
        rows = json.loads(machine.command(*report).stdout)["rows"]
        assert sum(row["events"] for row in rows) == 5
        assert machine.command("check").returncode == 0


def unshipped(metrics_port: int) -> list[float]:
    """The segments that wait to be shipped, their bytes, and the reasons, by `/metrics`."""
    found = told(f"http://127.0.0.1:{metrics_port}")
    return [found[f"beaconlog_unshipped_{name}"] for name in ("segments", "bytes", "problems")]


def test_machines_share_secrets_and_tokens(start_service: StartService) -> None:
    """Made on one, they hold on the others at once, or after the next read; so do revocations."""
    places = {"log_url": "s3://sharing/log", "lake_url": "s3://sharing/lake"}
    one = start_service(role="collect", **places)
    other = start_service(name="other", **places)
    made = other.command("tenant", "secret", "la-colmena")
    assert sale(one, made.stdout.strip()) == "ok"
    assert sale(one, "bls_made-up") == "skipped"
    assert other.command("tenant", "secret", "la-colmena", "--only-signed").returncode == 0
    rotated = one.command("tenant", "secret", "la-colmena", "--rotate")
    assert sale(other, rotated.stdout.strip()) == "ok"
    assert sale(one, "bls_made-up") == "skipped"  # which has it read the newest ones
    assert sale(one, None) == "skipped"
    first = other.command("token", "create", "--json")
    token = one.command("token", "create").stdout.strip()
    bearer = {"Authorization": f"Bearer {token}"}
    assert other.get_private("/api/v1/reports").status == 401
    assert other.get_private("/api/v1/reports", bearer).status == 200
    listed = json.loads(other.command("token", "list", "--json").stdout)["tokens"]
    ids = [each["id"] for each in listed]
    assert ids[0] == json.loads(first.stdout)["id"]
    assert other.command("token", "revoke", ids[1]).returncode == 0
    assert other.get_private("/api/v1/reports", bearer).status == 401


def sale(service: Service, secret: str | None) -> str:
    """Send a sale that is signed with a secret, or not at all; what became of it."""
    fields = {"tenant_slug": "la-colmena", "transaction_id": "A-1", "value": 10}
    body = json.dumps(fields).encode()
    signed = signature(secret, body) if secret else {}
    reply = service.post(CONVERSION, body, {"Content-Type": "application/json", **signed})
    return str(reply.body["status"])


def test_a_lake_that_cannot_be_reached_is_named(
    tmp_path: Path, store: SeaweedFS, start_service: StartService
) -> None:
    """By commands, in one line, and by the readiness of the warehouse."""
    wrong = {"lake_url": "s3://missing/lake", **QUICK}
    env = environment(REPOSITORY, {"data": tmp_path, **wrong}) | store.environment
    done = run_command(env, tmp_path, ("report", "summary"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "the bucket does not exist; create it" in done.stderr
    service = start_service(**wrong)
    send(service)
    eventually(lambda: service.get_private("/readyz").status == 503, PATIENCE_S)
    assert counted(service) is None


SUSPENDED = """
import os, signal
from etl.lake import parquet
write = parquet.write
def suspended(*arguments):
    files = write(*arguments)
    parquet.write = write
    os.kill(os.getpid(), signal.SIGSTOP)
    return files
parquet.write = suspended
from service.cli import main
main()
"""
FORGET_LEASE = (
    "from etl.object_store import ObjectStore; "
    "ObjectStore.open('s3://zombie/lake', timeout_s=60).delete(['compactor'])"
)


def test_a_compactor_that_comes_back_commits_nothing_twice(
    tmp_path: Path, start_service: StartService
) -> None:
    """It was suspended between its files and its commit, until another machine had its place."""
    places = {"log_url": "s3://zombie/log", "lake_url": "s3://zombie/lake"}
    machine = start_service(role="collect", **places)
    send(machine)
    assert machine.stop() == 0
    assert machine.command("ship").returncode == 0
    envs = []
    for name in ("zombie", "other"):
        (tmp_path / name).mkdir()
        envs.append(environment(REPOSITORY, {**places, "data": tmp_path / name}))
    compact = (sys.executable, "-c", SUSPENDED, "compact", "--json")
    with subprocess.Popen(compact, env=envs[0], stdout=subprocess.PIPE, text=True) as zombie:
        try:
            eventually(lambda: is_stopped(zombie.pid), PATIENCE_S)
            forget = (sys.executable, "-c", FORGET_LEASE)  # as once it has expired
            subprocess.run(forget, env=envs[1], check=True, timeout=PATIENCE_S)
            other = run_command(envs[1], tmp_path, ("compact", "--json"), PATIENCE_S)
            assert json.loads(other.stdout)["rows"] == 5
            zombie.send_signal(signal.SIGCONT)
            counts = json.loads(zombie.communicate(timeout=PATIENCE_S)[0])
        finally:
            zombie.kill()
    assert (zombie.returncode, counts["rows"], counts["stopped"]) == (0, 0, [])
    for env in envs:
        report = run_command(env, tmp_path, ("report", "summary", "--format", "json"), PATIENCE_S)
        assert sum(row["events"] for row in json.loads(report.stdout)["rows"]) == 5
    assert run_command(envs[1], tmp_path, ("check",), PATIENCE_S).returncode == 0


def is_stopped(pid: int) -> bool:
    """Whether a process is suspended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
