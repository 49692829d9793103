"""EIO, ENOSPC and half a write, at every write and sync of the log writer and of the compaction.

Attacked by `faultshim.c`, one call at a time. Must hold: no ack for a batch that did not reach the
disk; a descriptor whose sync failed is never synced again; a job ends with an error of ours or as
if nothing had happened; the next run, which knows nothing of it, comes to exact counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import traffic_tools as tools
from ledger import Load, open_shop
from scale import figures, is_soak, rounds
from strikes import shim, strike_all  # noqa: F401
from test_full_disk import judge, wait_until


@pytest.mark.parametrize("mode", ["eio", "enospc", "half"])
@pytest.mark.parametrize("name", ["ingest", "compaction"])
def test_an_error_at_any_write_or_sync_is_survived(
    name: str, mode: str, shim: Path, tmp_path: Path
) -> None:
    """A single one, of which the next run knows nothing; the short form tries every third."""
    with figures(f"{mode} at every write and sync of {name}") as counts:
        result = strike_all(shim, tmp_path, name, mode, step=1 if is_soak() else 3)
        counts["calls"] = result["struck"]
    assert result["failures"] == [], result["stderr"]
    assert result["struck"] >= (6 if is_soak() else 2), "the calls were not seen"


def test_a_service_whose_disk_fails_refuses_and_comes_back(
    shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write and sync fails for a while: 503, not ready; then again as if nothing had been."""
    data, failing, load = open_shop(tmp_path / "shop"), tmp_path / "failing", Load()
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("FAULTSHIM_FOLDER", str(data / "log"))
    monkeypatch.setenv("FAULTSHIM_WHILE", str(failing))
    settings = {"segment_age_s": 0.1, "segment_grace_s": 0, "compact_interval_s": 0.5}
    with tools.running("serve", data, **settings) as service:
        with figures("a disk that fails for a while") as counts, load.on(service.url, clients=2):
            for _ in range(rounds(3, 50)):
                load.wait_for_acks(100)
                failing.touch()
                wait_until(service, status=503)
                acked = len(load.acked)
                wait_until(service, status=503)
                assert len(load.acked) == acked, "acked what no disk has"
                failing.unlink()
                wait_until(service, status=200)
            counts |= {"acked": len(load.acked), "unanswered": len(load.unanswered)}
        service.drain()
    judge(data, load)
