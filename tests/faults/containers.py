"""A Docker daemon of a test's own, and the image of `deploy/docker` on a base of debootstrap.

The daemon needs no network and no iptables: containers use the host's network. The base has the
Python of the release, and the configuration of pip and the authorities of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import REPOSITORY, eventually

PROGRAMS = ("dockerd", "docker", "debootstrap")
IMAGE, BASE = "beaconlog", "beaconlog-base"
EXTRAS = "postgresql,s3,valkey"
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
        done = subprocess.run(
            line,
            cwd=REPOSITORY,
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
            capture_output=True,
            text=True,
            timeout=_STEP_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}:\n{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
        return done.stdout.strip()

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
        """What Docker says of it."""
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
