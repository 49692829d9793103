"""Conversations on a raw socket, and what a server says in them, in a form that can be compared."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import NamedTuple

from wire import connect

_PROBE = b"GET /healthz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
_VARYING = ("date", "content-length", "x-ratelimit-remaining")
_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True)
class Until:
    """Read until these bytes were said."""

    said: bytes


class HalfClose:
    """Say that nothing more will come."""


Step = bytes | Until | HalfClose


@dataclass(frozen=True)
class Conversation:
    """The steps of a client. Then, unless `is_cut_short`, it checks that the connection is open."""

    steps: tuple[Step, ...]
    is_cut_short: bool = False
    has_bodies: bool = True


class Answer(NamedTuple):
    """One response without what differs between two of the same kind."""

    status: int
    headers: frozenset[tuple[str, str]]
    body: object


class Transcript(NamedTuple):
    """The responses of a server, and whether it would have read more."""

    answers: tuple[Answer, ...]
    goes_on: bool

    def __str__(self) -> str:
        said = " ".join(str(answer.status) for answer in self.answers) or "nothing"
        return f"{said}, {'goes on' if self.goes_on else 'ends'}"


def hold(url: str, conversation: Conversation) -> Transcript:
    """Have it with the server at `url`, to the end of the connection."""
    said = b""
    with closing(connect(url)) as peer:
        with suppress(BrokenPipeError, ConnectionResetError):
            for step in conversation.steps:
                said += _take(peer, step, said)
            if not conversation.is_cut_short:
                peer.sendall(_PROBE)
        with suppress(ConnectionResetError):
            while (more := peer.recv(65536)) and len(said) < _LIMIT_BYTES:
                said += more
    answers = list(_answers(said, has_bodies=conversation.has_bodies))
    goes_on = bool(answers) and answers[-1].body == {"status": "alive"}
    return Transcript(tuple(answers[:-1] if goes_on else answers), goes_on)


def _take(peer: socket.socket, step: Step, said: bytes) -> bytes:
    if isinstance(step, bytes):
        peer.sendall(step)
        return b""
    if isinstance(step, HalfClose):
        peer.shutdown(socket.SHUT_WR)
        return b""
    heard = b""
    while step.said not in said + heard:
        more = peer.recv(65536)
        if not more:
            break
        heard += more
    return heard


def _answers(said: bytes, *, has_bodies: bool) -> list[Answer]:
    found = []
    while said:
        head, _, said = said.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) .+", status_line)
        assert match, f"not an answer: {status_line[:200]}"
        status = int(match[1])
        headers = [line.partition(": ")[::2] for line in lines]
        length = next((int(text) for name, text in headers if name == "Content-Length"), 0)
        is_probe = b'{"status":"alive"}' in said[:length]
        length = length if has_bodies or is_probe else 0
        body, said = said[:length], said[length:]
        kept = frozenset(
            (name.lower(), text) for name, text in headers if name.lower() not in _VARYING
        )
        found.append(Answer(status, kept, _body(body)))
    return found


def _body(raw: bytes) -> object:
    if not raw:
        return None
    body = json.loads(raw)
    if "event_id" in body:
        body["event_id"] = "an id"
    return body
