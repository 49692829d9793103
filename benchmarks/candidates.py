"""The servers that take events: beaconlog, and the programs that people would use instead.

`python -m benchmarks.candidates` lists those that are not installed, and how to install them.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks import directory, loads
from benchmarks.rounds import BenchmarkFailed
from benchmarks.servers import Command, Running, Server, free_port

_PEERS = Path(__file__).parent / "peers"
_COMPILED = Path(__file__).parents[1] / "build" / "compiled"
_NGINX_LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
_NO_LIMIT = "60000000/min burst 1000000"
_NO_LIMIT_BYTES = "1GiB/s burst 1GiB"
_UNLIMITED = {
    "BEACONLOG_TRUSTED_PROXIES": "127.0.0.1",
    "BEACONLOG_THROTTLE_API": _NO_LIMIT,
    "BEACONLOG_THROTTLE_TENANT_AWARE": _NO_LIMIT,
    "BEACONLOG_THROTTLE_ADDRESS": _NO_LIMIT,
    "BEACONLOG_THROTTLE_ADDRESS_BYTES": _NO_LIMIT_BYTES,
    "BEACONLOG_THROTTLE_TENANT_BYTES": _NO_LIMIT_BYTES,
}
"""Settings with which the throttle does its work and limits nobody; browsers are behind a proxy."""


class EventLost(BenchmarkFailed):
    """A server did not store an event that it accepted, or rejected one."""


def check_stored(server: Server, running: Running, answered: int) -> None:
    """Raise EventLost if the server stored fewer events than it answered with a success."""
    stored = server.stored(running.folder) if server.stored else answered
    if stored < answered:
        raise EventLost(f"{server.name} answered {answered} events and stored {stored}")


def beaconlog(
    role: str, *, products: int = directory.PRODUCTS, **settings: object
) -> Callable[[int, Path], Sequence[Command]]:
    """Return the process of a role, which limits nobody. `settings`: further ones, by name.

    Its directory has all shops, with so many products together.
    """

    def commands(port: int, folder: Path) -> Sequence[Command]:
        directory.prepared(products).copy_to(folder / "data")
        named = {f"BEACONLOG_{name.upper()}": value for name, value in settings.items()}
        places = {"BEACONLOG_HOST": "127.0.0.1", "BEACONLOG_PORT": port}
        line = [sys.executable, "-m", "service", role, "--data", folder / "data"]
        return [Command(port, line, {**places, **named, **_UNLIMITED})]

    return commands


def _compiled(port: int, folder: Path) -> Sequence[Command]:
    """Return beaconlog's process with the hot path that `make compiled` has compiled."""
    return [
        replace(
            command,
            line=[command.line[0], "-P", *command.line[1:]],
            settings={**command.settings, "PYTHONPATH": _COMPILED},
        )
        for command in beaconlog("collect", workers=1)(port, folder)
    ]


def _in_log(folder: Path) -> int:
    events = 0
    for segment in (folder / "data" / "log").glob("*/*.[no]*"):
        lines = segment.read_bytes()
        if b'"kind":"rejected"' in lines:
            raise EventLost(f"{segment} has rejected events; the load must have none")
        events += lines.count(b'"kind":"event"')
    return events


def _in_file(folder: Path) -> int:
    return (folder / "events.ndjson").read_bytes().count(b"\n")


def _fastapi(fsync: int) -> Callable[[int, Path], Sequence[Command]]:
    def commands(port: int, folder: Path) -> Sequence[Command]:
        app = "benchmarks.peers.fastapi_app:app"
        line = [sys.executable, "-m", "uvicorn", app, "--port", port, "--no-access-log"]
        settings = {"PEER_LOG": folder / "events.ndjson", "PEER_FSYNC": fsync}
        return [Command(port, [*line, "--log-level", "error"], settings)]

    return commands


def _fastify(port: int, folder: Path) -> Sequence[Command]:
    line = ["node", _PEERS / "fastify" / "server.js", port, folder / "events.ndjson"]
    return [Command(port, line)]


def _nginx(port: int, folder: Path) -> Sequence[Command]:
    text = (_PEERS / "nginx.conf").read_text()
    conf = folder / "nginx.conf"
    conf.write_text(text.replace("@PORT@", str(port)).replace("@FOLDER@", str(folder)))
    folder.chmod(0o777)
    return [Command(port, ["nginx", "-p", folder, "-c", conf])]


def _webdis(port: int, folder: Path) -> Sequence[Command]:
    redis_port = free_port()
    redis = ["redis-server", "--port", redis_port, "--dir", folder, "--save", ""]
    conf = folder / "webdis.json"
    settings = {
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
    conf.write_text(json.dumps(settings))
    return [
        Command(redis_port, [*redis, "--appendonly", "yes", "--appendfsync", "always"]),
        Command(port, ["webdis", conf]),
    ]


def _has(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) for program in programs)


def _has_fastapi() -> bool:
    return all(find_spec(name) for name in ("fastapi", "uvicorn"))


def _has_fastify() -> bool:
    return bool(shutil.which("node")) and (_PEERS / "fastify" / "node_modules").is_dir()


_PIP = "pip install '.[bench]'"
BEACONLOG = Server("beaconlog", beaconlog("collect", workers=1), stored=_in_log)
TWO_WORKERS = Server(
    "beaconlog, 2 workers", beaconlog("collect", workers=2), cpus=2, stored=_in_log
)
STOCK = Server(
    "beaconlog, stock Tornado",
    beaconlog("collect", workers=1, http_server="tornado"),
    stored=_in_log,
)
COMPILED = Server(
    "beaconlog, compiled",
    _compiled,
    stored=_in_log,
    needs="make compiled",
    is_there=lambda: any(_COMPILED.glob("*.so")),
)
FASTAPI = Server(
    "FastAPI + uvicorn",
    _fastapi(fsync=0),
    durable=False,
    stored=_in_file,
    needs=_PIP,
    is_there=_has_fastapi,
)
FASTAPI_SYNCED = replace(
    FASTAPI, name="FastAPI + uvicorn, fdatasync each", commands=_fastapi(fsync=1), durable=True
)
FASTIFY = Server(
    "Fastify",
    _fastify,
    durable=False,
    needs="apt-get install nodejs npm && npm install --prefix benchmarks/peers/fastify",
    is_there=_has_fastify,
)
NGINX = Server(
    "nginx + Lua, buffered access log",
    _nginx,
    validates=False,
    durable=False,
    needs="apt-get install nginx-light libnginx-mod-http-lua",
    is_there=lambda: bool(shutil.which("nginx")) and _NGINX_LUA.exists(),
)
WEBDIS = Server(
    "webdis + Redis, AOF always",
    _webdis,
    validates=False,
    adapt=loads.for_webdis,
    needs="apt-get install webdis redis-server",
    is_there=_has("webdis", "redis-server"),
)
EVERY = (
    *(BEACONLOG, COMPILED, TWO_WORKERS, STOCK),
    *(FASTAPI, FASTAPI_SYNCED, FASTIFY, NGINX, WEBDIS),
)


def missing() -> list[str]:
    """Return the servers that are not installed, and the command that installs each."""
    return [f"{one.name}: not installed; `{one.needs}`" for one in EVERY if not one.is_there()]


if __name__ == "__main__":
    print("\n".join(missing()) or "Every server of the comparison is installed.")
