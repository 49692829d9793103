"""The clients' side of an attack: numbered events, what was promised for them, what is shown.

All of it is kept outside the server. Every event has a number in its metadata. The odd ones carry
an event id of the client's; of those that go unanswered half are sent again, soon or after the
next start, until they are answered, and of those that are answered a few, as if the answer had
been lost. The others have the id that the server answers with, and are sent once, so that no
duplicate rule could hide one that was stored twice. Some are sent as batches, between the others.

With the shop's secret some of the numbers are sales, in pairs: the one is signed, the other claims
the same transaction, at about the same time, and either may come first. The signed one counts.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import traffic_tools as tools
from http_tools import BATCH, CONVERSION, TRACK
from traffic_tools import Client, Service
from wire import signature

NUMBER = "(metadata->>'number')::BIGINT"
SHOP_CSV = f"id,uuid,slug,name,status\n1,{UUID(int=1)},shop,Shop,active\n"
NO_PRODUCTS_CSV = "id,tenant_id,name,price\n"
_WAIT_FOR_ACKS_S = 120.0
_SEND_AGAIN_EVERY = 16
_ANSWERED_SENT_AGAIN_EVERY = 64
_PAIR_EVERY = 16
_BATCH_EVERY = 5
_BATCH_EVENTS = 12


def open_shop(folder: Path) -> Path:
    """A new data folder under `folder`, with one shop in its directory."""
    folder.mkdir(exist_ok=True)
    tenants, products = folder / "tenants.csv", folder / "products.csv"
    tenants.write_text(SHOP_CSV)
    products.write_text(NO_PRODUCTS_CSV)
    tools.import_directory(tenants, products, data=folder / "data")
    return folder / "data"


def secret_of_shop(data: Path) -> str:
    """Make the secret with which the shop signs its sales."""
    done = tools.run("tenant", "secret", "shop", data=data)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Load:
    """Numbered events, sent for as long as they are wanted; and what came of them.

    `sent`: every number below it was sent, or was about to be. `acked`: number -> event id, None
    where the answer has none.

    Each client waits `pause_s` before a request, and at most `timeout_s` for a response.
    """

    def __init__(
        self,
        secret: str | None = None,
        *,
        pause_s: float = 0.0,
        timeout_s: float = tools.HTTP_TIMEOUT_S,
    ) -> None:
        self.sent = 0
        self.secret = secret
        self.acked: dict[int, str | None] = {}
        self.unanswered: set[int] = set()
        self.sent_again = 0
        self._turn = 0
        self._to_send_again: list[int] = []
        self._pause_s, self._timeout_s = pause_s, timeout_s
        self._over = threading.Event()
        self._raised: list[Exception] = []
        self._lock = threading.Lock()

    @contextmanager
    def on(self, url: str, *, clients: int) -> Iterator[None]:
        """Clients that send to a service until this is left, each on a connection of its own."""
        self._over.clear()
        crew = tools.crew(
            self._drive, range(clients), url=url, clients=clients, timeout_s=self._timeout_s
        )
        with crew:
            try:
                yield
            finally:
                self._over.set()

    def wait_for_acks(self, count: int) -> None:
        """Let so many more be acked. Raises what a client raised, if one did."""
        target = len(self.acked) + count

        def are_acked() -> bool:
            if self._raised:
                raise self._raised[0]
            return len(self.acked) >= target

        tools.eventually(are_acked, timeout_s=_WAIT_FOR_ACKS_S, what=f"{count} more acks")

    def _drive(self, client: Client, _: int) -> None:
        try:
            while not self._over.wait(self._pause_s):
                number = self._draw()
                if number % _BATCH_EVERY or self._must_be_alone(number):
                    self._send(client, number)
                else:
                    self._send_batch(client, [number, *self._draw_for_batch(client)])
        except Exception as error:
            self._raised.append(error)
            raise

    def _draw(self) -> int:
        with self._lock:
            self._turn += 1
            if self._to_send_again and self._turn % _SEND_AGAIN_EVERY == 0:
                self.sent_again += 1
                return self._to_send_again.pop(0)
            self.sent += 1
            return self.sent - 1

    def _send(self, client: Client, number: int) -> None:
        path, body, headers = self._request(number)
        try:
            status, answer = client.post(path, body, headers)
        except (OSError, http.client.HTTPException):
            self._note_unanswered(number)
            return
        assert status in (200, 202, 503), (status, answer)
        if status != 503:
            assert answer.get("status", "ok") == "ok", answer
            self._note_acked(number, answer.get("event_id"))

    def _draw_for_batch(self, client: Client) -> list[int]:
        """More events for a batch; those that have to be alone are sent at once."""
        drawn = [self._draw() for _ in range(_BATCH_EVENTS - 1)]
        for number in filter(self._must_be_alone, drawn):
            self._send(client, number)
        return [number for number in drawn if not self._must_be_alone(number)]

    def _must_be_alone(self, number: int) -> bool:
        """A signature of a batch signs all of its sales."""
        return self.is_sale(number) and is_signed(number)

    def _send_batch(self, client: Client, numbers: list[int]) -> None:
        items = []
        for number in numbers:
            path, body, _ = self._request(number)
            items.append({"endpoint": path.rpartition("/")[2], **body})
        try:
            status, answer = client.post(BATCH, items, {})
        except (OSError, http.client.HTTPException):
            for number in numbers:
                self._note_unanswered(number)
            return
        assert status in (200, 503), (status, answer)
        if status == 200:
            for number, result in zip(numbers, answer["results"], strict=True):
                assert result["status"] == "accepted", answer
                shows_id = not self.is_sale(number)  # the endpoint of a sale does not
                self._note_acked(number, result["event_id"] if shows_id else None)

    def is_sale(self, number: int) -> bool:
        """Whether the event of this number is a sale."""
        return self.secret is not None and number % (_PAIR_EVERY // 2) == 6

    def _request(self, number: int) -> tuple[str, dict[str, Any], dict[str, str]]:
        metadata = {"number": number}
        if not self.is_sale(number):
            body: dict[str, Any] = {"tenant_id": 1, "type": "call", "metadata": metadata}
            return TRACK, body | ({"event_id": str(UUID(int=number))} if number % 2 else {}), {}
        sale = {"tenant_slug": "shop", "transaction_id": f"T-{number // _PAIR_EVERY}"}
        body = {**sale, "value": number, "metadata": metadata}
        return CONVERSION, body, self._signature(body) if is_signed(number) else {}

    def _is_worth_a_retry(self, number: int) -> bool:
        kept = number % _ANSWERED_SENT_AGAIN_EVERY
        return kept == 1 or (kept == 6 and self.is_sale(number))

    def _signature(self, body: dict[str, Any]) -> dict[str, str]:
        return signature(str(self.secret), json.dumps(body).encode())

    def _note_acked(self, number: int, event_id: str | None) -> None:
        with self._lock:
            is_first = number not in self.acked
            known = self.acked.setdefault(number, event_id)
            if is_first and self._is_worth_a_retry(number):
                self._to_send_again.append(number)
        assert known == event_id, f"{number} was acked as {known}, and then as {event_id}"

    def _note_unanswered(self, number: int) -> None:
        with self._lock:
            self.unanswered.add(number)
            if number % 4 == 1 or self.is_sale(number):
                self._to_send_again.append(number)


def is_signed(sale: int) -> bool:
    """Whether the sale of this number is the signed one of its pair."""
    pair, place = divmod(sale, _PAIR_EVERY)
    return (place < _PAIR_EVERY // 2) == (pair % 2 == 0)


def outranked(numbers: Iterable[int], load: Load) -> set[int]:
    """The claims of the transactions of which the signed sale is among these."""
    if load.secret is None:
        return set()
    half = _PAIR_EVERY // 2
    sales = (number for number in numbers if number % half == 6)
    signed = (sale for sale in sales if is_signed(sale))
    return {sale + half if sale % _PAIR_EVERY < half else sale - half for sale in signed}


def disagreements(stored: Iterable[tuple[int, str]], load: Load) -> list[str]:
    """Return where the counted events and the clients' ledger disagree.

    `stored`: (number, event id) of every event that counts. Ask when no client is sending.
    """
    rows = list(stored)
    times = Counter(number for number, _ in rows)
    below = outranked(times, load)
    found = {
        "acked and lost": load.acked.keys() - times.keys() - below,
        "stored twice": {number for number, count in times.items() if count > 1},
        "stored under another id": {
            n for n, event_id in rows if (load.acked.get(n) or event_id) != event_id
        },
        "never sent": {number for number in times if not 0 <= number < load.sent},
        "counted beside the signed one": below & times.keys(),
    }
    return [f"{what}: {number}" for what, numbers in found.items() for number in sorted(numbers)]


# -- readers ----------------------------------------------------------------------------------

_PYTHON_READER = f"""
import json, sys
from etl import lake

# PYTHONUNBUFFERED would lose the rest of a write that SIGSTOP cuts short.
answers = open(sys.stdout.fileno(), "w", closefd=False)
for line in sys.stdin:
    with lake.connect(sys.argv[1], version=json.loads(line)) as con:
        version, tail = con.execute("SELECT version, tail_events FROM snapshot").fetchone()
        digest = con.execute("SELECT sum(hash(events)::HUGEINT)::VARCHAR FROM events").fetchone()
        numbers = con.execute("SELECT list({NUMBER}) FROM events").fetchone()
    answer = json.dumps([version, tail, sorted(numbers[0] or []), digest[0]])
    print(answer, file=answers, flush=True)
"""


def reports_url(service: Service) -> str:
    """Where the private port listens."""

    def told() -> re.Match[str] | None:
        return re.search(r"port=reports url=(\S+)", service.log.read_text())

    found = tools.eventually(told, timeout_s=tools.START_TIMEOUT_S, what="the port is told")
    return str(found[1])


@dataclass(frozen=True)
class Answer:
    """The result of a read; `numbers` only if the reader gets them."""

    version: int | None
    tail: int
    count: int
    digest: str | None
    numbers: list[int] | None


class Reader(Protocol):
    """One way to ask."""

    way: str

    def read(self, version: int | None) -> Answer | None:
        """The live view, or a pinned version; None when the answer was cut off."""


class HttpReader:
    """Asks for the summary on one connection, opened again when the warehouse was killed."""

    way = "http"

    def __init__(self, url: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(url).netloc, timeout=tools.HTTP_TIMEOUT_S)

    def read(self, version: int | None) -> Answer | None:
        pin = {} if version is None else {"version": version}
        try:
            self._http.request(
                "GET", "/api/v1/reports/summary?" + urlencode({"bots": "true"} | pin)
            )
            response = self._http.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._http.close()
            return None
        assert response.status == 200, (response.status, body)
        found = json.loads(body)
        snapshot, rows = found["snapshot"], found["rows"]
        count = sum(row["events"] for row in rows)
        return Answer(snapshot["version"], snapshot["tail_events"], count, json.dumps(rows), None)

    def close(self) -> None:
        self._http.close()


class PythonReader:
    """Asks with `lake.connect()`, in a process that knows nothing but the data folder."""

    way = "python"

    def __init__(self, data: Path) -> None:
        # A file: in `python -c` DuckDB believes a person is there, and draws a progress bar.
        script = data.with_name("reader.py")
        script.write_text(_PYTHON_READER)
        self._process = subprocess.Popen(
            [sys.executable, script, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, version: int | None) -> Answer:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(version) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the reader ended: its traceback is above"
        at, tail, numbers, digest = json.loads(line)
        return Answer(at, tail, len(numbers), digest, numbers)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop it wherever it is, and let it go on."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
