"""The demo: a street of shops, a real service, traffic over HTTP, a compaction, reports.

Every step is one of the product's own commands. The demo ends by itself, stops what it started and
leaves its data folder to look at.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from service.demo import street, traffic
from service.replay.progress import replay_with_progress

_MARKER = ".beaconlog-demo"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0
_CONNECTIONS = 8
_SETTINGS = """\
host = "127.0.0.1"
port = 0
reports_port = 0
trusted_proxies = ["127.0.0.1"]
throttle_tenant_aware = "off"
throttle_api = "off"
"""


class DemoError(Exception):
    """The demo cannot continue, for the reason of the message, one line."""


def run(data: Path, *, events: int, seed: int, console: Console) -> None:
    """Replace the folder `data` by a new one and run the demo in it. Raises DemoError."""
    folder = _fresh(data)
    config = folder / "beaconlog.toml"
    config.write_text(_SETTINGS)
    console.rule("1. A directory of shops")
    tenants, products = street.write_csv(folder)
    _show(["directory", "import", str(tenants), str(products), "--data", str(folder)])
    console.rule("2. The service, and shoppers over HTTP")
    with _service(folder, config) as url:
        console.print(f"collecting on {url}, fsync before every response")
        _send(url, events, seed, console)
    console.rule("3. Compaction: log segments become Parquet in a Delta table")
    _show(["compact", "--data", str(folder)])
    console.rule("4. Reports")
    for report in ("summary", "funnel"):
        _show(["report", report, "--data", str(folder)])
    _show(["report", "top-products", "--limit", "10", "--data", str(folder)])
    _show(["check", "--data", str(folder)])
    console.rule("What to try next")
    console.print(_next(folder), highlight=False, markup=False, soft_wrap=True)


def _fresh(data: Path) -> Path:
    if data.exists() and not (data / _MARKER).exists():
        raise DemoError(
            f"{data} exists and was not made by the demo; name another folder with --data"
        )
    shutil.rmtree(data, ignore_errors=True)
    try:
        data.mkdir(parents=True)
        (data / _MARKER).touch()
    except OSError as error:
        raise DemoError(f"{data}: {error.strerror}") from error
    return data


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "service", *arguments]


def _show(arguments: list[str]) -> None:
    done = subprocess.run(_command(arguments), check=False)
    if done.returncode:
        raise DemoError(f"beaconlog {' '.join(arguments)} failed with exit code {done.returncode}")


@contextmanager
def _service(folder: Path, config: Path) -> Iterator[str]:
    log = folder / "service.log"
    command = _command(["serve", "--config", str(config), "--data", str(folder)])
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        yield _public_url(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _public_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if match := re.search(r"port=public url=(\S+)", log.read_text()):
            return match[1]
        time.sleep(0.05)
    raise DemoError(f"the service did not start; see {log}")


def _send(url: str, events: int, seed: int, console: Console) -> None:
    summary = replay_with_progress(
        traffic.requests(events=events, seed=seed, end=datetime.now(UTC)),
        url,
        concurrency=_CONNECTIONS,
        console=console,
        total=events,
    )
    by_status = json.dumps({str(status): n for status, n in sorted(summary.statuses.items())})
    rate = summary.sent / max(summary.elapsed_s, 0.001)
    console.print(f"{summary.sent} requests, {rate:.0f} per second, by status: {by_status}")
    if summary.failed:
        raise DemoError(f"requests failed: {dict(summary.transport_errors)}")


def _next(folder: Path) -> str:
    command = "beaconlog" if shutil.which("beaconlog") else os.path.relpath(sys.argv[0])
    return f"""\
{command} report timeseries --interval hour --tz America/Tegucigalpa --data {folder}
{command} report recent --tenant {street.OPEN_SHOPS[0].slug} --limit 5 --data {folder}
{command} report revenue --format csv --data {folder}
{command} serve --data {folder}    then open http://127.0.0.1:8081/
head -n 1 {folder}/log/*/*.ndjson    the log is plain NDJSON"""
