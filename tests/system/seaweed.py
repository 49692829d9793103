"""SeaweedFS: object storage that speaks S3, as one process on ports of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import eventually
from ports import free_ports

ACCESS_KEY, SECRET_KEY = "beaconlog-tests", "a-secret-of-the-tests"
START_TIMEOUT_S = 120.0
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)
_PERMISSIONS = ["Admin", "Read", "Write", "List", "Tagging"]


class SeaweedFS:
    """A store in a folder. It keeps its ports and its objects over a kill.

    `prefix` is put before its command line; `host` is an address of the machine that it runs on.
    """

    def __init__(
        self, folder: Path, *, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()
    ) -> None:
        self._folder, self._host, self._prefix = folder, host, prefix
        self.log = folder / "log"
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "objects").mkdir()
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        identity = {"name": "tests", "credentials": credentials, "actions": _PERMISSIONS}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def port(self) -> int:
        """The port that speaks S3."""
        return self._ports["s3.port"]

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a process that may use it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self._host}:{self.port}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def launch(self) -> None:
        """Run it and wait for nothing."""
        ports = [f"-{name}={port}" for name, port in self._ports.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    str(Path(sys.executable).with_name("weed")),
                    "server",
                    "-filer",
                    "-s3",
                    f"-dir={self._folder / 'objects'}",
                    f"-s3.config={self._folder / 's3.json'}",
                    f"-ip={self._host}",
                    f"-ip.bind={self._host}",
                    "-volume.max=300",
                    "-master.volumeSizeLimitMB=64",
                    "-master.telemetry=false",
                    # It is its only master, and has no others to wait for.
                    "-master.electionTimeout=500ms",
                    "-master.heartbeatInterval=100ms",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    *ports,
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def start(self) -> None:
        """Run it and wait until it stores objects."""
        self.launch()
        store = "ObjectStore.open('s3://probe/x', timeout_s=5)"
        probe = f"from etl.object_store import ObjectStore; {store}.put('x', b'')"
        env = {**os.environ, **self.environment}

        def stores() -> bool:
            command = [sys.executable, "-c", probe]
            return not subprocess.run(command, env=env, capture_output=True, check=False).returncode

        eventually(stores, START_TIMEOUT_S)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """SIGSTOP: its kernel takes connections, and nobody replies."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: it takes long to end by itself."""
        if self._process:
            self._process.kill()
            self._process.wait()


def running(folder: Path) -> Iterator[SeaweedFS]:
    """A store that stores objects, and ends with the body."""
    store = SeaweedFS(folder)
    try:
        store.start()
        yield store
    finally:
        store.kill()
