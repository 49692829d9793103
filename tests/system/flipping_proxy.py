"""A way to a server on which one word of the requests is changed, as by a faulty network device."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, create_connection, socket


class FlippingProxy:
    """Passes bytes on to a port of this machine, while `is_faulty` with `word` changed."""

    def __init__(self, port: int, word: bytes) -> None:
        self._port = port
        self._word, self._changed = word, bytes([word[0] ^ 1]) + word[1:]
        self._open: set[socket] = set()
        self.is_faulty = True
        self.changes = 0
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[FlippingProxy]:
        """Pass connections on until this is left."""
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._pass_both(self.request)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            serving = threading.Thread(target=server.serve_forever, args=(0.05,))
            serving.start()
            try:
                yield self
            finally:
                server.shutdown()
                serving.join()
                for each in [*self._open]:
                    _end(each)

    def _pass_both(self, client: socket) -> None:
        with create_connection(("127.0.0.1", self._port)) as server:
            self._open |= {client, server}
            back = threading.Thread(target=self._pass, args=(server, client, bytes))
            back.start()
            self._pass(client, server, self._spoilt)
            back.join()
            self._open -= {client, server}

    def _pass(self, source: socket, sink: socket, change: Callable[[bytes], bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 20):
                sink.sendall(change(data))
        _end(source)
        _end(sink)

    def _spoilt(self, data: bytes) -> bytes:
        if not self.is_faulty or self._word not in data:
            return data
        self.changes += 1
        return data.replace(self._word, self._changed)


def _end(each: socket) -> None:
    with suppress(OSError):
        each.shutdown(SHUT_RDWR)
