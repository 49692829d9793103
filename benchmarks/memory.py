"""Memory of a worker over directories that grow.

A worker takes events of 500 browsers on 256 connections for 3 s. Then its resident memory is read,
the most that it ever was, and the part that the worker does not share.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import directory, loads, wrk
from benchmarks.candidates import beaconlog
from benchmarks.rounds import markdown, tell
from benchmarks.servers import Server, running
from benchmarks.size import Size, run_alone
from benchmarks.wrk import Load

PRODUCTS = (directory.PRODUCTS, 1_000_000)
_CONNECTIONS = 256
_LOAD_S = 3


def run(size: Size) -> str:
    """Return the table: a row per directory."""
    if wrk.NEEDS:
        return f"## Memory of a worker\n\n{wrk.NEEDS}\n"
    sizes = sorted({max(directory.PRODUCTS, size.events(products)) for products in PRODUCTS})
    return (
        f"## Memory of a worker\n\nAfter {_LOAD_S} s of events on {_CONNECTIONS} connections.\n\n"
    ) + markdown(
        ("products", "resident MiB", "at most MiB", "its own MiB"),
        [(f"{products:,}", *_measured(products)) for products in sizes],
    )


def _measured(products: int) -> list[str]:
    tell(f"a directory of {products:,} products")
    server = Server("beaconlog", beaconlog("collect", products=products))
    with running(server) as at_work:
        wrk.send(at_work, Load(wrk.prepare(at_work, loads.browsers_kept()), _CONNECTIONS, _LOAD_S))
        worker = Path(f"/proc/{_worker_of(at_work.sessions[0])}")
        status, rollup = ((worker / name).read_text() for name in ("status", "smaps_rollup"))
    measured_mib = _mib(rollup, "Rss"), _mib(status, "VmHWM"), _mib(rollup, "Private_Dirty")
    return [f"{mib:.0f}" for mib in measured_mib]


def _worker_of(supervisor: int) -> int:
    return int(Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()[0])


def _mib(text: str, field: str) -> float:
    match = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else float("nan")


if __name__ == "__main__":
    run_alone(__doc__, run)
