"""Machines of a test: network namespaces around one switch, and links that drop packets one way.

A machine is a namespace with an address and a cable to the switch, a bridge in a namespace of its
own. So nothing of the host's network is used or changed. A cut drops the packets of one machine
where they arrive at another, without a word to either; those of the other direction pass.

Needs root, iproute2 and iptables.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_FOLDER = Path("/run/netns")
_TOOLS = ("ip", "iptables", "nsenter")
_CLONE_NEWNET = 0x40000000
_REFUSALS = ("not permitted", "Permission denied", "Read-only file system", "not supported")


class NetworkError(Exception):
    """A command that changes the network has failed."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine on the network."""

    name: str
    address: str
    namespace: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """The first words of a command line that runs on this machine."""
        return ("nsenter", f"--net={_FOLDER / self.namespace}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be on this machine, with all threads and processes that are started meanwhile.

        The threads that run already stay where they are, such as those of a library that keeps a
        pool for as long as the process lives.
        """
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(_FOLDER / self.namespace)
            yield
        finally:
            _set_namespace(before)
            os.close(before)

    def __str__(self) -> str:
        return self.name


class Network:
    """Machines that reach one another until a link is cut."""

    def __init__(self, names: Sequence[str]) -> None:
        prefix = f"beaconlog-{os.getpid()}"
        self._switch = f"{prefix}-switch"
        self.machines = {
            name: Machine(name, f"10.77.0.{number}", f"{prefix}-{name}")
            for number, name in enumerate(names, start=1)
        }

    @classmethod
    @contextmanager
    def of(cls, names: Sequence[str]) -> Iterator[Network]:
        """Machines of these names, which are gone when the context is left."""
        network = cls(names)
        with ExitStack() as stack:
            network._make(stack)
            yield network

    @contextmanager
    def cut(self, source: Machine, target: Machine) -> Iterator[None]:
        """Drop the packets from one machine to another."""
        rule = ("INPUT", "--source", source.address, "--jump", "DROP")
        _run(*target.prefix, "iptables", "--wait", "--insert", *rule)
        try:
            yield
        finally:
            _run(*target.prefix, "iptables", "--wait", "--delete", *rule)

    def _make(self, stack: ExitStack) -> None:
        _add_namespace(self._switch, stack)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for number, machine in enumerate(self.machines.values()):
            _add_namespace(machine.namespace, stack)
            self._connect(machine, f"port{number}")

    def _connect(self, machine: Machine, port: str) -> None:
        inside = ("-n", machine.namespace)
        peer = ("type", "veth", "peer", "name", port, "netns", self._switch)
        _ip("link", "add", "eth0", "netns", machine.namespace, *peer)
        _ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
        _ip(*inside, "address", "add", f"{machine.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip(*inside, "link", "set", device, "up")


def require_namespaces() -> None:
    """Skip a test where namespaces are not permitted; in CI, fail it if a tool is missing."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {missing}")
    try:
        with Network.of(("one", "other")) as network, network.cut(*network.machines.values()):
            return
    except NetworkError as error:
        if not any(refusal in str(error) for refusal in _REFUSALS):
            raise
        pytest.skip(f"network namespaces are not permitted here: {error}")


def _add_namespace(name: str, stack: ExitStack) -> None:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "delete", name)


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NetworkError(f"{' '.join(words)}: {done.stderr}")


def _enter(namespace: Path) -> None:
    file = os.open(namespace, os.O_RDONLY)
    try:
        _set_namespace(file)
    finally:
        os.close(file)


def _set_namespace(file: int) -> None:
    """Move this thread to a namespace; Python has os.setns from 3.12 on."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(file, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns failed")
