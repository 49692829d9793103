"""Power cuts: a filesystem that loses its power, and processes that die with it.

The filesystem is an image, mounted through a loop device. FS_IOC_SHUTDOWN stops it at once: from
then on nothing more reaches the image, so what the kernel still held is lost as in a power cut.
`noauto_da_alloc` takes from ext4 the courtesy of writing back a file that is renamed over another.

Run as a program, this module is the bench: it imports beaconlog once and forks a process for each
command, so that a command costs no start and its own work is what a cut meets.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

import pytest

_FS_IOC_SHUTDOWN = 0x8004587D
_IMAGE_BYTES = 512 << 20
_UNMOUNT_TIMEOUT_S = 120.0
_COMMAND_TIMEOUT_S = 240.0
_POLL_S = 0.02
EXPIRE = "expire"  # maintenance for which every old snapshot is past its time
_KILLED_CODE = -int(signal.SIGKILL)


class Flush(IntEnum):
    """The data that still reaches the disk as the power goes."""

    ALL = 0
    NAMES = 1  # the journal: names without the contents that nobody synced
    NOTHING = 2

    @property
    def loses(self) -> str:
        """Describe the loss, for the figures."""
        return {"ALL": "nothing", "NAMES": "contents", "NOTHING": "all"}[self.name]


@dataclass(frozen=True, slots=True)
class Filesystem:
    """How an image is made and mounted."""

    kind: str
    options: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.options}".strip()


EXT4 = (
    Filesystem("ext4", "noauto_da_alloc"),
    Filesystem("ext4", "noauto_da_alloc,nodelalloc"),
    Filesystem("ext4", "noauto_da_alloc,data=writeback,commit=1"),
)
XFS = (Filesystem("xfs"),)


# -- the disk ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted image."""

    image: Path
    folder: Path
    filesystem: Filesystem

    def cut(self, flush: Flush) -> None:
        """Cut the power. Who still writes gets errors; unmount when nobody has a file open."""
        shut_down(self.folder, flush)

    def restart(self) -> None:
        """Mount the image again, as it was left. Every process on it must have ended."""
        self.unplug()
        self.plug()

    def plug(self) -> None:
        """Mount the image. Fails or skips the test where that is not permitted."""
        options = ",".join(filter(None, ("loop", self.filesystem.options)))
        line = ["mount", "-t", self.filesystem.kind, "-o", options, self.image, self.folder]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            unavailable(f"loop mounts of {self.filesystem} are not permitted: {done.stderr}")

    def unplug(self) -> None:
        """Unmount the image as soon as nobody uses it; the loop device goes with it."""
        deadline_s = time.monotonic() + _UNMOUNT_TIMEOUT_S
        while self._is_plugged():
            line = ["umount", self.folder]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode and time.monotonic() > deadline_s:
                # It goes when its last user does, and the test that left one fails.
                subprocess.run(["umount", "--lazy", self.folder], check=False)
                raise OSError(errno.EBUSY, done.stderr, str(self.folder))
            if done.returncode:
                time.sleep(_POLL_S)

    def _is_plugged(self) -> bool:
        # A folder whose power was cut cannot even be looked at.
        mounted = Path("/proc/self/mounts").read_text().splitlines()
        return any(line.split()[1] == str(self.folder) for line in mounted)


def shut_down(folder: Path, flush: Flush) -> None:
    """Stop the filesystem that `folder` lies on."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _FS_IOC_SHUTDOWN, struct.pack("I", flush))
    finally:
        os.close(fd)


@contextmanager
def plugged(folder: Path, filesystem: Filesystem) -> Iterator[Disk]:
    """A new filesystem mounted at `folder`; the mount outlives neither this nor the process."""
    maker = f"mkfs.{filesystem.kind}"
    for tool in ("mount", maker):
        if not shutil.which(tool):
            unavailable(f"{tool} is missing")
    folder.mkdir(parents=True)
    image = folder.with_name(f"{folder.name}.img")
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    subprocess.run([maker, "-q", image], check=True, capture_output=True)
    disk = Disk(image, folder, filesystem)
    with guarded(folder):
        try:
            disk.plug()
            yield disk
        finally:
            disk.unplug()
            image.unlink()


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Unmount `folder` even when this process is killed: then the guard's input ends."""
    line = ["sh", "-c", 'read _; umount --lazy "$0" 2>/dev/null', folder]
    with subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True):
        yield


def unavailable(why: str) -> NoReturn:
    """Fail in CI, skip elsewhere: the power cannot be cut here."""
    message = f"power cuts need root, loop mounts and mkfs: {why.strip()}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


# -- processes that are cut off ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `steps`: see `Bench.start`; None where it was killed."""

    code: int
    steps: int | None

    @property
    def was_killed(self) -> bool:
        return self.code == _KILLED_CODE


@dataclass(slots=True)
class Bench:
    """Runs one command of beaconlog at a time, each in a process that was forked ready to go."""

    process: subprocess.Popen[bytes]
    errors: Path
    _pid: int = 0

    def start(
        self,
        *arguments: object,
        settings: Mapping[str, object],
        cut_before_step: int = 0,
        flush: Flush = Flush.NOTHING,
    ) -> None:
        """Start a command whose last argument is the data folder.

        The folder's power is cut before that step, if it is given. A step is a call that changes a
        file, or one into DuckDB or delta-rs, counted from 1.
        """
        order = {
            "arguments": [str(argument) for argument in arguments],
            "environment": {f"BEACONLOG_{key.upper()}": str(v) for key, v in settings.items()},
            "cut_before_step": cut_before_step,
            "flush": flush,
        }
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = self._told(_COMMAND_TIMEOUT_S)["pid"]

    def ended(self, timeout_s: float = _COMMAND_TIMEOUT_S) -> Ended | None:
        """How the command ended; None if it is still running after `timeout_s`."""
        told = self._told(timeout_s)
        return Ended(told["code"], told["steps"]) if told else None

    def run(self, *arguments: object) -> None:
        """Run a command to its end; it must end well."""
        self.start(*arguments, settings={})
        done = self.ended()
        assert done and done.code == 0, (arguments, done, self.errors.read_text())

    def kill(self) -> None:
        """Kill the command that is running."""
        with suppress(ProcessLookupError):  # it may have met the cut, and ended by itself
            os.kill(self._pid, signal.SIGKILL)
        assert self.ended(), "a killed process did not end"

    def _told(self, timeout_s: float) -> Any:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        if not ready:
            return None
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        return json.loads(line)


@contextmanager
def bench(errors: Path) -> Iterator[Bench]:
    """A bench; what its commands say on stderr goes to the file `errors`."""
    with (
        errors.open("w") as stream,
        subprocess.Popen(
            [sys.executable, __file__],
            env={key: text for key, text in os.environ.items() if "BEACONLOG" not in key},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            bufsize=0,  # a line that was read ahead would not be seen by select
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Bench(process, errors)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


# -- the bench's own side ---------------------------------------------------------------------

_STEPS = frozenset(
    [
        "open",
        "write",
        "fsync",
        "fdatasync",
        "ftruncate",
        "rename",
        "replace",
        "unlink",
        "link",
        "mkdir",
        "rmdir",
        "execute",
        "create",
        "create_write_transaction",
        "set_table_properties",
        "create_checkpoint",
        "vacuum",
        "cleanup_metadata",
    ]
)


class _Steps:
    """Counts the steps of this process, and cuts its power before one of them."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.count = 0
        self._last = order["cut_before_step"]
        self._folder, self._flush = Path(order["arguments"][-1]), Flush(order["flush"])

    def __call__(self, _frame: object, event: str, called: Any) -> None:
        if event != "c_call" or getattr(called, "__name__", "") not in _STEPS:
            return
        self.count += 1
        if self.count == self._last:
            sys.setprofile(None)
            shut_down(self._folder, self._flush)
            os.kill(os.getpid(), signal.SIGKILL)


def _serve_orders() -> None:
    from etl.lake import compaction  # noqa: F401  (imported once, for every fork)
    from etl.upkeep import maintenance  # noqa: F401  (imported once, for every fork)
    from service import cli  # noqa: F401
    from service.processes import warehouse  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        told, telling = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(told)
            _carry_out(order, telling)
        os.close(telling)
        _tell({"pid": pid})
        steps = os.read(told, 32)
        os.close(told)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _tell({"code": code, "steps": int(steps) if steps else None})


def _tell(what: Mapping[str, object]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _expire(data: Path) -> None:
    from etl.upkeep import maintenance

    plan = maintenance.MaintenancePlan(snapshot_retention_hours=0, merge_files_min=2)
    maintenance.run(data, plan, time.time() + 1)


def _carry_out(order: Mapping[str, Any], telling: int) -> NoReturn:
    from service import cli

    steps, code = _Steps(order), 1
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.environ.update(order["environment"])
    sys.argv = ["beaconlog", *order["arguments"]]
    try:
        sys.setprofile(steps)
        if order["arguments"][0] == EXPIRE:
            _expire(Path(order["arguments"][-1]))
        else:
            cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.setprofile(None)
        if isinstance(sys.exception(), Exception):
            sys.excepthook(*sys.exc_info())
        os.write(telling, str(steps.count).encode())
        os._exit(code)


if __name__ == "__main__":
    _serve_orders()
