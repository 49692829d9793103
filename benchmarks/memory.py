"""Memory of a worker over directories that grow.

`python -m benchmarks.memory [PRODUCTS ...]`. 200 shops share the products. A worker takes events on
256 connections for 3 s; told is then its resident memory, the most that ever was, and what of it is
its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.ingest import wrk
from benchmarks.rounds import markdown, tell
from benchmarks.servers import EVENT, Command, Server, running

PRODUCTS = (1_000, 100_000, 1_000_000)
SHOPS = 200
_CONNECTIONS = 256
_LOAD_S = 3


def run(sizes: list[int]) -> str:
    """The table: a row a directory."""
    return markdown(
        ("products", "resident MiB", "at most MiB", "its own MiB"),
        [(f"{size:,}", *_measured(size)) for size in sizes],
    )


def _measured(products: int) -> list[str]:
    tell(f"a directory of {products:,} products")
    server = Server("beaconlog", validates=True, durable=True, commands=_collector(products))
    with running(server) as at_work:
        wrk(at_work.url, {"BODY": EVENT}, _CONNECTIONS, _LOAD_S)
        worker = Path(f"/proc/{_worker_of(at_work.sessions[0])}")
        status, rollup = ((worker / name).read_text() for name in ("status", "smaps_rollup"))
    found = _mib(rollup, "Rss"), _mib(status, "VmHWM"), _mib(rollup, "Private_Dirty")
    return [f"{mib:.0f}" for mib in found]


def _collector(products: int) -> Callable[[int, Path], Sequence[Command]]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        tenants, listed = folder / "tenants.csv", folder / "products.csv"
        tenants.write_text(
            "id,uuid,slug,name,status\n"
            + "".join(
                f"{n},00000000-0000-0000-0000-{n:012d},shop-{n},Shop {n},active\n"
                for n in range(1, SHOPS + 1)
            )
        )
        with listed.open("w") as file:
            file.write("id,tenant_id,name,price\n")
            for number in range(101, 101 + products):
                file.write(f"{number},{1 + (number - 101) % SHOPS},Product {number},9.50\n")
        beaconlog = [sys.executable, "-m", "service"]
        data = ["--data", folder / "data"]
        imported = [*beaconlog, "directory", "import", tenants, listed, *data]
        subprocess.run([*map(str, imported)], check=True, capture_output=True)
        settings = {
            "BEACONLOG_HOST": "127.0.0.1",
            "BEACONLOG_PORT": port,
            "BEACONLOG_THROTTLE_TENANT_AWARE": "off",
        }
        return [Command(port, [*beaconlog, "collect", *data], settings)]

    return commands


def _worker_of(supervisor: int) -> int:
    return int(Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()[0])


def _mib(text: str, field: str) -> float:
    match = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else float("nan")


if __name__ == "__main__":
    print(run([int(text) for text in sys.argv[1:]] or list(PRODUCTS)))
