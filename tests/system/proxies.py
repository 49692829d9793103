"""The proxies of `deploy/`: only addresses and the certificate differ from the files."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from harness import REPOSITORY, eventually
from wire import REPLY_TIMEOUT_S

PUBLIC, PRIVATE = "stats.example", "reports.example"
START_TIMEOUT_S = 120


@contextmanager
def run_proxy(line: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """Run a proxy from the time when its port takes connections."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            line,
            env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: is_served(port) or process.poll() is not None, START_TIMEOUT_S)
        assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def connect_tls(
    port: int, certificate: Path, name: str = PUBLIC, address: str = "127.0.0.1"
) -> http.client.HTTPConnection:
    """A connection from a loopback address, whose certificate was verified for the name."""
    connection = http.client.HTTPConnection(name)
    connection.sock = tls_socket(port, certificate, name, address)
    return connection


def tls_socket(
    port: int, certificate: Path, name: str, address: str, protocols: Sequence[str] = ()
) -> ssl.SSLSocket:
    """The socket of such a connection; `protocols` are offered to the proxy (ALPN)."""
    plain = socket.create_connection(
        ("127.0.0.1", port), REPLY_TIMEOUT_S, source_address=(address, 0)
    )
    context = ssl.create_default_context(cafile=certificate)
    if protocols:
        context.set_alpn_protocols([*protocols])
    return context.wrap_socket(plain, server_hostname=name)


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """The text with every change made; each must apply."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def certificate(folder: Path, names: str = f"DNS:{PUBLIC},DNS:{PRIVATE}") -> tuple[Path, Path]:
    """A self-made one for these names, and its key."""
    made, key = folder / "beaconlog.crt", folder / "beaconlog.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    named = f"subjectAltName={names}"
    given = ["-subj", "/CN=beaconlog", "-addext", named, "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *given], check=True, capture_output=True)
    return made, key


def nginx(folder: Path, changes: Mapping[str, str], tls: int, plain: int) -> list[str]:
    """The command that runs deploy/nginx with these changes."""
    text = (REPOSITORY / "deploy/nginx/beaconlog.conf").read_text()
    listens = {
        "listen 443 ": f"listen 127.0.0.1:{tls} ",
        "listen 80": f"listen 127.0.0.1:{plain}",
    }
    site = folder / "beaconlog.conf"
    site.write_text(replaced(text, {**changes, **listens}))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""  # to reach the test's folder
    main = folder / "nginx.conf"
    main.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{paths}\n    include {site};\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(main)]


def caddy(folder: Path, changes: Mapping[str, str], tls: int, plain: int) -> list[str]:
    """The command that runs deploy/caddy with these changes."""
    text = (REPOSITORY / "deploy/caddy/Caddyfile").read_text()
    ports = {"https_port 443": f"https_port {tls}", "http_port 80": f"http_port {plain}"}
    site = folder / "Caddyfile"
    site.write_text(replaced(text, {**changes, **ports}))
    return ["caddy", "run", "--config", str(site), "--adapter", "caddyfile"]


def haproxy(folder: Path, changes: Mapping[str, str], tls: int, plain: int) -> list[str]:
    """The command that runs deploy/haproxy with these changes, for one machine."""
    text = (REPOSITORY / "deploy/haproxy/haproxy.cfg").read_text()
    text = re.sub(r"    server two .*\n", "", text)
    places = {
        "10.83.0.11:8080": changes["127.0.0.1:8080"],
        "10.83.0.21:8081": changes["127.0.0.1:8081"],
        "/etc/ssl/beaconlog.crt": changes["/etc/ssl/beaconlog.crt"],
        "bind :443": f"bind 127.0.0.1:{tls}",
        "bind :80": f"bind 127.0.0.1:{plain}",
    }
    site = folder / "haproxy.cfg"
    site.write_text(replaced(text, places))
    return ["haproxy", "-db", "-f", str(site)]


PROXIES = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}


def is_served(port: int) -> bool:
    """Whether the port takes connections."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False
