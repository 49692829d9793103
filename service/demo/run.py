"""The demo: a street of shops, a real service, traffic over HTTP, a compaction, reports.

Nearly every step is one of the product's own commands. The demo ends by itself, stops what it
started and leaves its data folder to look at; on request it shows the dashboard first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from etl.layout import Layout
from service.collector.signing import signatures
from service.collector.signing.secret_store import SecretStore
from service.demo import countries, street, traffic
from service.demo.beacons import Sign
from service.demo.process import DemoError, Urls, command, service
from service.demo.shops import SHOPS, TIMEZONE, Shop
from service.replay.progress import replay_with_progress

_MARKER = ".beaconlog-demo"
_CONNECTIONS = 8
_DAYS = 30
_SHOP = street.OPEN_SHOPS[0].slug
_GOAL = "pregunta-por-whatsapp"
_REPORTS = (
    ("summary",),
    ("funnel",),
    ("top-products", "--limit", "10"),
)
_SETTINGS = """\
host = "127.0.0.1"
port = 0
reports_port = 0
trusted_proxies = ["127.0.0.1"]
throttle_tenant_aware = "off"
throttle_api = "off"
occurred_past_max_days = {days}
country_database = {countries}
"""


def run(
    data: Path, *, events: int, seed: int, console: Console, shows_dashboard: bool = False
) -> None:
    """Replace the folder `data` by a new one and run the demo in it. Raises DemoError.

    `shows_dashboard`: serve the dashboard afterwards, and open it in a browser, until Ctrl-C.
    """
    folder = _fresh(data)
    config = _configured(folder)
    console.rule("1. A directory of shops")
    tenants, products = street.write_csv(folder)
    _show(["directory", "import", str(tenants), str(products), "--data", str(folder)])
    _show(["goal", "add", _SHOP, _GOAL, "--type", "whatsapp_click", "--data", str(folder)])
    sign = _signer(folder)
    console.rule("2. The service, and a month of shoppers over HTTP")
    with service(folder, config) as urls:
        console.print(f"collecting on {urls.public}, fsync before every response")
        _send(urls.public, events, seed, sign, console)
    console.rule("3. Compaction: log segments become Parquet in a Delta table")
    _show(["compact", "--data", str(folder)])
    console.rule("4. Reports")
    for report in _REPORTS:
        _show(["report", *report, "--data", str(folder)])
    _show(["check", "--data", str(folder)])
    console.rule("What to try next")
    console.print(_next(folder), highlight=False, markup=False, soft_wrap=True)
    if shows_dashboard:
        with service(folder, config) as urls:
            _open(urls, console)


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


def _configured(folder: Path) -> Path:
    """Write the settings and the database of countries; return the path of the settings."""
    database = folder.resolve() / "countries.mmdb"
    countries.write_database(database)
    config = folder / "beaconlog.toml"
    # JSON writes texts as TOML does.
    config.write_text(_SETTINGS.format(days=_DAYS + 1, countries=json.dumps(str(database))))
    return config


def _signer(folder: Path) -> Sign:
    """Give each shop that has a server a secret, and return how it signs with it."""
    store = SecretStore(Layout(folder).signing)
    now = datetime.now(UTC)
    keys = {shop: store.create(shop.id, now).secret for shop in SHOPS if shop.has_server}

    def sign(shop: Shop, body: bytes) -> dict[str, str]:
        seconds = str(int(time.time()))
        digest = signatures.sign(keys[shop], seconds, body)
        return {signatures.HEADER: f"t={seconds},v1={digest}"}

    return sign


def _show(arguments: list[str]) -> None:
    done = subprocess.run(command(arguments), check=False)
    if done.returncode:
        raise DemoError(f"beaconlog {' '.join(arguments)} failed with exit code {done.returncode}")


def _send(url: str, events: int, seed: int, sign: Sign, console: Console) -> None:
    summary = replay_with_progress(
        traffic.requests(events=events, seed=seed, end=datetime.now(UTC), days=_DAYS, sign=sign),
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


def _open(urls: Urls, console: Console) -> None:
    """Open the dashboard on a desktop, and serve it until Ctrl-C."""
    console.print(f"the dashboard is at {urls.dashboard}, until Ctrl-C")
    with suppress(KeyboardInterrupt):
        if not webbrowser.open(urls.dashboard):
            console.print("no browser was found: open it yourself")
        signal.pause()


def _next(folder: Path) -> str:
    command = "beaconlog" if shutil.which("beaconlog") else os.path.relpath(sys.argv[0])
    return f"""\
{command} serve --data {folder}    then open http://127.0.0.1:8081/ for the dashboard
{command} report campaigns --tenant {_SHOP} --data {folder}
{command} report funnel --tenant {_SHOP} --steps view,goal:{_GOAL},purchase --data {folder}
{command} report timeseries --interval day --tenant {_SHOP} --tz {TIMEZONE} --data {folder}
{command} report revenue --format csv --data {folder}
head -n 1 {folder}/log/*/*.ndjson    the log is plain NDJSON"""
