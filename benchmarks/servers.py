"""The servers of the ingest benchmark: how each is started, and what it does before it answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
START_TIMEOUT_S = 30.0
EVENT = (
    '{"tenant_id":1,"type":"view","product_id":101,'
    '"metadata":{"source":"home","variant":"b","note":"one hundred and twenty-seven"}}'
)
NGINX_LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


@dataclass(frozen=True, slots=True)
class Command:
    """A process of a server, which is there once it listens on `port`."""

    port: int
    line: Sequence[object]
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """A server at work: where, and the sessions of its processes."""

    url: str
    sessions: Sequence[int]

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[3]) in self.sessions:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A candidate. `commands` gives its processes for a port and a folder."""

    name: str
    validates: bool
    durable: bool
    commands: Callable[[int, Path], Sequence[Command]]
    cpus: int = 1
    path: str = "/api/v1/interactions"
    body: str = EVENT
    is_sent_new_heads: bool = False
    """Whether no two requests have the same head: what is remembered of one is of no use."""
    needs: str = ""
    """How to get it, where it is missing."""
    is_there: Callable[[], bool] = lambda: True


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """A server, pinned to the first `cpus` of the machine, and killed at the end."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"beaconlog-bench-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()  # what the one before has left to be written is not this one's to wait for
    port = free_port()
    pinned = ["taskset", "-c", ",".join(map(str, range(server.cpus)))]
    try:
        with ExitStack() as stack:
            sessions = []
            for command in server.commands(port, folder):
                environment = {key: str(value) for key, value in command.settings.items()}
                line = [*pinned, *command.line]
                sessions.append(stack.enter_context(_process(line, environment, folder)))
                _wait_for(command.port)
            yield Running(f"http://127.0.0.1:{port}{server.path}", sessions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(line: Sequence[object], settings: Mapping[str, str], folder: Path) -> Iterator[int]:
    with (folder / "stderr").open("ab") as stream:
        process = subprocess.Popen(
            [str(word) for word in line],
            env=os.environ | settings,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


def import_directory(folder: Path) -> None:
    """Two shops, the first with the product of EVENT, into the data folder `folder`/data."""
    uuid = "00000000-0000-0000-0000-00000000000"
    tenants, products = folder / "tenants.csv", folder / "products.csv"
    tenants.write_text(f"id,uuid,slug,name,status\n1,{uuid}1,a,A,active\n2,{uuid}2,b,B,active\n")
    products.write_text("id,tenant_id,name,price\n101,1,Miel,280\n")
    line = [sys.executable, "-m", "service", "directory", "import", tenants, products]
    line += ["--data", folder / "data"]
    subprocess.run([str(word) for word in line], check=True, capture_output=True)


# -- the candidates ---------------------------------------------------------------------------


def _beaconlog(http_server: str, workers: int) -> Callable[[int, Path], Sequence[Command]]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        import_directory(folder)
        settings = {
            "BEACONLOG_HOST": "127.0.0.1",
            "BEACONLOG_PORT": port,
            "BEACONLOG_WORKERS": workers,
            "BEACONLOG_HTTP_SERVER": http_server,
            "BEACONLOG_THROTTLE_API": "off",
            "BEACONLOG_THROTTLE_TENANT_AWARE": "60000000/min burst 1000000",
            "BEACONLOG_THROTTLE_ADDRESS": "60000000/min burst 1000000",
            "BEACONLOG_THROTTLE_ADDRESS_BYTES": "1GiB/s burst 1GiB",
            "BEACONLOG_THROTTLE_TENANT_BYTES": "1GiB/s burst 1GiB",
        }
        line = [sys.executable, "-m", "service", "collect", "--data", folder / "data"]
        return [Command(port, line, settings)]

    return commands


def _fastapi(fsync: int) -> Callable[[int, Path], Sequence[Command]]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        app = "benchmarks.peers.fastapi_app:app"
        line = [sys.executable, "-m", "uvicorn", app, "--port", port, "--no-access-log"]
        settings = {"PEER_LOG": folder / "events.ndjson", "PEER_FSYNC": fsync}
        return [Command(port, [*line, "--log-level", "error"], settings)]

    return commands


def _fastify(port: int, folder: Path) -> Sequence[Command]:
    return [
        Command(port, ["node", PEERS / "fastify" / "server.js", port, folder / "events.ndjson"])
    ]


def _nginx(port: int, folder: Path) -> Sequence[Command]:
    text = (PEERS / "nginx.conf").read_text()
    conf = folder / "nginx.conf"
    conf.write_text(text.replace("@PORT@", str(port)).replace("@FOLDER@", str(folder)))
    folder.chmod(0o777)
    return [Command(port, ["nginx", "-p", folder, "-c", conf])]


def _webdis(port: int, folder: Path) -> Sequence[Command]:
    redis_port = free_port()
    redis = ["redis-server", "--port", redis_port, "--dir", folder, "--save", ""]
    conf = folder / "webdis.json"
    known = {
        "redis_host": "127.0.0.1",
        "redis_port": redis_port,
        "http_host": "127.0.0.1",
        "http_port": port,
        "threads": 1,
        "pool_size": 20,
        "daemonize": False,
        "verbosity": 0,
        "logfile": str(folder / "webdis.log"),
    }
    conf.write_text(json.dumps(known))
    return [
        Command(redis_port, [*redis, "--appendonly", "yes", "--appendfsync", "always"]),
        Command(port, ["webdis", conf]),
    ]


def _has(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


def _has_fastapi() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415

    return all(find_spec(name) for name in ("fastapi", "uvicorn"))


SERVERS = (
    Server("beaconlog", validates=True, durable=True, commands=_beaconlog("fast", 1)),
    Server(
        "beaconlog, no head twice",
        validates=True,
        durable=True,
        commands=_beaconlog("fast", 1),
        is_sent_new_heads=True,
    ),
    Server(
        "beaconlog, 2 workers", validates=True, durable=True, commands=_beaconlog("fast", 2), cpus=2
    ),
    Server(
        "beaconlog, stock Tornado", validates=True, durable=True, commands=_beaconlog("tornado", 1)
    ),
    Server(
        "FastAPI + uvicorn",
        validates=True,
        durable=False,
        commands=_fastapi(0),
        needs="pip install '.[bench]'",
        is_there=_has_fastapi,
    ),
    Server(
        "FastAPI + uvicorn, fdatasync each",
        validates=True,
        durable=True,
        commands=_fastapi(1),
        needs="pip install '.[bench]'",
        is_there=_has_fastapi,
    ),
    Server(
        "Fastify",
        validates=True,
        durable=False,
        commands=_fastify,
        needs="npm install --prefix benchmarks/peers/fastify",
        is_there=lambda: (
            bool(shutil.which("node")) and (PEERS / "fastify" / "node_modules").is_dir()
        ),
    ),
    Server(
        "nginx + Lua, buffered access log",
        validates=False,
        durable=False,
        commands=_nginx,
        needs="apt-get install nginx-light libnginx-mod-http-lua",
        is_there=lambda: bool(shutil.which("nginx")) and NGINX_LUA.exists(),
    ),
    Server(
        "webdis + Redis, AOF always",
        validates=False,
        durable=True,
        commands=_webdis,
        path="/",
        body=f"RPUSH/events/{EVENT}",
        needs="apt-get install webdis redis-server",
        is_there=_has("webdis", "redis-server"),
    ),
)
