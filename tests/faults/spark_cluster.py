"""A standalone cluster of Spark: a master and workers, each a process with a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from harness import SESSION, eventually, group, signal_to
from ports import free_ports
from wire import request

BRIEF_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java spends most of a short life on compiling: this is half of it."""
_HOST = "127.0.0.1"
_HOST_OF_WORKER = "127.0.1.{}"
_START_TIMEOUT_S = 240.0
_EXECUTOR_MEMORY, _DAEMON_MEMORY = "512m", "256m"


@dataclass(frozen=True, slots=True)
class SparkCluster:
    """The URL of the master, and the process ids of the workers."""

    url: str
    workers: tuple[int, ...]


@contextmanager
def running(
    folder: Path, *, workers: int, tasks: int, prefix: Sequence[object] = (), **settings: object
) -> Iterator[SparkCluster]:
    """A cluster in which every worker is registered, with an executor of one core.

    Drivers that are started within the context divide their work into `tasks` tasks. Each worker
    has an address of its own, as on a machine of its own, or Spark would copy no slow task.
    `prefix` is put before its command line. `settings`: more of Spark's, with `_` for a dot.
    """
    port, page = free_ports(2)
    url = f"spark://{_HOST}:{port}"
    with ExitStack() as stack:
        more = {f"spark.{name.replace('_', '.')}": value for name, value in settings.items()}
        stack.enter_context(patch.dict(os.environ, _environment(folder, tasks, more)))
        start = partial(_start, stack, folder)
        start("master", "master.Master", "--host", _HOST, "--port", port, "--webui-port", page)
        eventually(lambda: _registered(page) == 0, _START_TIMEOUT_S)
        options = ("--webui-port", 0, "--cores", 1, "--memory", _EXECUTOR_MEMORY)
        pids = [
            start(
                f"worker-{number}",
                "worker.Worker",
                *("--host", _HOST_OF_WORKER.format(number)),
                *options,
                *("--work-dir", folder / f"worker-{number}", url),
                prefix=prefix,
            )
            for number in range(1, workers + 1)
        ]
        eventually(lambda: _registered(page) == workers, _START_TIMEOUT_S)
        yield SparkCluster(url, tuple(pids))


def _environment(folder: Path, tasks: int, more: Mapping[str, object]) -> Mapping[str, str]:
    """Write the settings of the cluster and its drivers; return the environment of both."""
    settings = {
        "spark.default.parallelism": tasks,
        "spark.executor.memory": _EXECUTOR_MEMORY,
        "spark.executor.extraJavaOptions": BRIEF_JAVA,
        "spark.driver.extraJavaOptions": BRIEF_JAVA,
        "spark.driver.host": _HOST,
        "spark.master.rest.enabled": "false",
        **more,
    }
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (folder / "spark-defaults.conf").write_text("".join(lines))
    spec = find_spec("pyspark")
    assert spec and spec.origin
    return {
        "SPARK_HOME": str(Path(spec.origin).parent),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_DIRS": str(folder),
        "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY,
        "SPARK_DAEMON_JAVA_OPTS": BRIEF_JAVA,
    }


def _start(
    stack: ExitStack,
    folder: Path,
    name: str,
    kind: str,
    *options: object,
    prefix: Sequence[object] = (),
) -> int:
    """Start a process of the cluster, which ends with the stack; its process id."""
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    program = Path(os.environ["SPARK_HOME"], "bin", "spark-class")
    arguments = [f"org.apache.spark.deploy.{kind}", *options]
    process = subprocess.Popen(
        list(map(str, (*prefix, program, *arguments))),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    stack.callback(process.wait)
    stack.callback(kill_session, process.pid)
    return process.pid


def _registered(page: int) -> int | None:
    """The number of workers by the master's page; None as long as there is none."""
    try:
        reply = request("GET", f"http://{_HOST}:{page}/json/")
    except (OSError, HTTPException):
        return None
    is_json = isinstance(reply.body, dict)  # the HTML page is added first, and answers for others
    return int(reply.body["aliveworkers"]) if is_json and reply.status == 200 else None


def stop_python(worker: int) -> bool:
    """Stop the Python of the executor of a worker, in which tasks run; whether there is any.

    Its Java goes on: it is assigned tasks, and other executors fetch their code from it.
    """
    for _ in range(2):  # the second time, what was forked during the first
        stopped = [pid for pid in in_session(worker) if b"pyspark.daemon" in _command_line(pid)]
        for pid in stopped:
            signal_to(pid, signal.SIGSTOP)
    return bool(stopped)


def _command_line(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def kill_session(leader: int) -> None:
    """SIGKILL to all processes of a session: Spark's Python has process groups of its own."""
    for pid in in_session(leader):
        signal_to(pid, signal.SIGKILL)


def in_session(leader: int) -> list[int]:
    """The processes of a session that have not ended."""
    return group(leader, SESSION)
