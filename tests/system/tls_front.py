"""TLS in front of a server on a Unix socket.

python tls_front.py CERTIFICATE KEY SOCKET      prints its port on 127.0.0.1
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def tls_front(made: Path, key: Path, server: Path) -> Iterator[int]:
    """Run it in a process of its own; the value is its port."""
    command = [sys.executable, __file__, str(made), str(key), str(server)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


async def _serve(made: str, key: str, server: str) -> None:
    async def serve(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            behind, to_server = await asyncio.open_unix_connection(server)
            await asyncio.gather(_pass(client, to_server), _pass(behind, to_client))
        to_client.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
    sink.close()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
