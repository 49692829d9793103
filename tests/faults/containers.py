"""A Docker daemon of a test's own, and the image of `deploy/docker` on a base of debootstrap.

The daemon needs no network and no iptables: containers use the host's network. The base has the
Python of the release, and the configuration of pip and the authorities of this machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import valkey_process
from harness import PRODUCTS_CSV, REPOSITORY, TENANTS_CSV, eventually
from proxies import certificate, replaced

PROGRAMS = ("dockerd", "docker", "docker-compose", "debootstrap")
IMAGE, BASE = "beaconlog", "beaconlog-base"
EXTRAS = "postgresql,s3,valkey"
STAND_INS = Path(__file__).with_name("stand_ins")
SECRET = "0123456789abcdef0123456789abcdef"
_IMAGES = {
    "postgres": "postgres:15",
    "haproxy": "haproxy:2.6",
    "valkey": "valkey/valkey:9.1",
    "seaweedfs": "chrislusf/seaweedfs:4.48",
}
_RELEASE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_OF_THIS_MACHINE = ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
_START_S = 60.0
_STEP_S = 1_800.0


def why_unavailable() -> str:
    """Return why no container can be run here; empty if one can be."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"Docker is not available: {', '.join(missing)} not installed"
    return "" if os.geteuid() == 0 else "Docker is not available: dockerd needs root"


@dataclass(frozen=True, slots=True)
class Docker:
    """A daemon in a folder."""

    folder: Path

    def run(self, *words: object) -> str:
        """Run a command of Docker; return what it prints."""
        line = ["docker", "--host", self.address, *map(str, words)]
        return _output(line, REPOSITORY, DOCKER_BUILDKIT="0")

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/socket"

    def answers(self) -> bool:
        """Whether the daemon runs."""
        line = ["docker", "--host", self.address, "version"]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0

    def build(self) -> None:
        """Build the image from the repository, on a base that debootstrap makes."""
        root = self.folder / "root"
        included = f"--include={_PACKAGES}"
        line = ["debootstrap", "--variant=minbase", included, _RELEASE, str(root)]
        subprocess.run(line, check=True, capture_output=True, timeout=_STEP_S)
        for name in _OF_THIS_MACHINE:
            if (Path("/") / name).exists():
                shutil.copyfile(Path("/") / name, root / name)
        line = ["docker", "--host", self.address, "import", "-", BASE]
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(line, stdin=tar.stdout, check=True, capture_output=True, timeout=_STEP_S)
        assert tar.returncode == 0
        arguments = ["--build-arg", f"PYTHON_IMAGE={BASE}", "--build-arg", f"EXTRAS={EXTRAS}"]
        file = "deploy/docker/Dockerfile"
        self.run("build", "--network=host", *arguments, "-f", file, "-t", IMAGE, ".")

    def image_bytes(self) -> int:
        """Return the size of the image, with that of its base."""
        return int(self.run("image", "inspect", "--format={{.Size}}", IMAGE))

    def build_stand_ins(self) -> None:
        """Build images under the public names of the servers in `deploy/compose.yaml`.

        They hold Debian's PostgreSQL and HAProxy of the same versions, and the SeaweedFS and Valkey
        of the tests, with the users and the folders of the public images.
        """
        context = self.folder / "stand-ins"
        shutil.copytree(STAND_INS, context)
        shutil.copy(Path(sys.executable).with_name("weed"), context)
        shutil.copy(valkey_process.binary(), context / "valkey-server")
        for target, name in _IMAGES.items():
            self.run("build", "--network=host", f"--target={target}", "-t", name, context)

    @contextmanager
    def container(self, *words: object, **environment: object) -> Iterator[Container]:
        """Run the image with the rights that `deploy/compose.yaml` gives it."""
        variables = [f"--env={key}={value}" for key, value in environment.items()]
        rights = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"]
        rights += ["--security-opt=no-new-privileges", "--init", "--network=host"]
        name = self.run(
            "run", "--detach", "--volume=data:/data", *rights, *variables, IMAGE, *words
        )
        try:
            yield Container(self, name)
        finally:
            self.run("rm", "--force", name)


@dataclass(frozen=True, slots=True)
class Container:
    """A container, running or not."""

    docker: Docker
    name: str = field(repr=False)

    def state(self) -> Mapping[str, Any]:
        """Return the state that Docker reports, such as its health."""
        found: Mapping[str, Any] = json.loads(
            self.docker.run("inspect", "--format={{json .State}}", self.name)
        )
        return found

    def execute(self, *words: object) -> str:
        """Run a program in it; return what it prints."""
        return self.docker.run("exec", self.name, *words)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.docker.run("stop", "--time=60", self.name)
        return int(self.state()["ExitCode"])

    def log(self) -> str:
        """Its stdout."""
        return self.docker.run("logs", self.name)


@contextmanager
def composition(docker: Docker, folder: Path, ports: Mapping[str, int]) -> Iterator[Composition]:
    """`deploy/compose.yaml` with other published ports, in a folder with a certificate and CSVs."""
    deploy = folder / "deploy"
    shutil.copytree(REPOSITORY / "deploy", deploy)
    file = deploy / "compose.yaml"
    changes = {f'"{name}:{name}"': f'"{port}:{name}"' for name, port in ports.items()}
    file.write_text(replaced(file.read_text(), changes))
    made, key = certificate(folder)
    key.chmod(0o644)  # for HAProxy's user
    given = {"TLS_CERTIFICATE": str(made), "TLS_KEY": str(key)}
    names = re.findall(r"^(\w+)=$", (deploy / "example.env").read_text(), re.MULTILINE)
    values = {name: given.get(name, SECRET) for name in names}
    (deploy / ".env").write_text("".join(f"{name}={text}\n" for name, text in values.items()))
    (deploy / "csv").mkdir()
    (deploy / "csv" / "tenants.csv").write_text(TENANTS_CSV)
    (deploy / "csv" / "products.csv").write_text(PRODUCTS_CSV)
    made_of = Composition(docker, deploy)
    try:
        made_of.run("up", "--detach", "--no-build")
        yield made_of
    finally:
        made_of.run("down", "--volumes", "--timeout", "20")


@dataclass(frozen=True, slots=True)
class Composition:
    """The services of a compose file."""

    docker: Docker
    folder: Path

    def run(self, *words: str) -> str:
        """Run a command of docker-compose; return what it prints."""
        line = ["docker-compose", "--project-name", "beaconlog", *words]
        return _output(line, self.folder, DOCKER_HOST=self.docker.address)


def _output(line: Sequence[str], cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        line,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_STEP_S,
        check=False,
    )
    assert done.returncode == 0, f"{line}:\n{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
    return done.stdout.strip()


@contextmanager
def daemon(folder: Path) -> Iterator[Docker]:
    """A daemon, which ends with the body. Its socket's path must be short."""
    docker = Docker(folder)
    line = ["dockerd", f"--host={docker.address}", f"--data-root={folder / 'data'}"]
    line += [f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}"]
    line += ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    with (folder / "log").open("wb") as log, subprocess.Popen(line, stdout=log, stderr=log) as own:
        try:
            eventually(docker.answers, _START_S)
            yield docker
        finally:
            own.terminate()
            own.wait(_START_S)
            for left in (folder / "exec" / "netns").glob("*"):
                subprocess.run(["umount", left], check=True)
