"""The answers of a server of object storage, as errors of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from obstore.store import S3Store

from etl.object_store import BucketMissing, ObjectMissing, ObjectStore, ObjectStoreError

NO_BUCKET = b"<Error><Code>NoSuchBucket</Code><Message>no bucket</Message></Error>"
NO_KEY = b"<Error><Code>NoSuchKey</Code><Message>no object</Message></Error>"
NOT_S3 = [b"", b"<html><h1>404 Not Found</h1></html>"]
"""The answers of a proxy that has nowhere to send a request."""


class _NotFound(BaseHTTPRequestHandler):
    """Answers every request with 404 and a body."""

    body = b""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  (names of its base class)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextmanager
def finding_nothing(body: bytes) -> Iterator[ObjectStore]:
    """A store whose server answers 404 with a body, whatever is asked."""
    handler = type("Handler", (_NotFound,), {"body": body})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        client = S3Store(
            "shops",
            endpoint=f"http://127.0.0.1:{server.server_port}",
            access_key_id="a",
            secret_access_key="b",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        try:
            yield ObjectStore(client, "s3://shops")
        finally:
            server.shutdown()


@pytest.mark.parametrize("body", [*NOT_S3, NO_BUCKET])
def test_a_list_that_finds_nothing_is_no_empty_list(body: bytes) -> None:
    """Else files and segments that exist would be taken for deleted."""
    with finding_nothing(body) as objects, pytest.raises(ObjectStoreError) as raised:
        objects.listed("lake/")
    assert isinstance(raised.value, BucketMissing) == (body == NO_BUCKET)


@pytest.mark.parametrize("body", NOT_S3)
def test_a_404_that_is_not_of_the_storage_is_no_missing_object(body: bytes, tmp_path: Path) -> None:
    """It is a failure, with what to do: else a report would lack the events of that object."""
    (tmp_path / "file").write_bytes(b"data")
    calls: list[Callable[[ObjectStore], object]] = [
        lambda objects: objects.get("key"),
        lambda objects: objects.download("key", tmp_path / "copy"),
        lambda objects: objects.listed(),
        lambda objects: objects.put("key", b"data"),
        lambda objects: objects.put_new("key", b"data"),
        lambda objects: objects.put_file("key", tmp_path / "file"),
        lambda objects: objects.delete(["key"]),
    ]
    with finding_nothing(body) as objects:
        for call in calls:
            with pytest.raises(ObjectStoreError, match="AWS_ENDPOINT_URL"):
                call(objects)


def test_an_object_that_the_storage_does_not_have_is_missing(tmp_path: Path) -> None:
    """It says so by its error; a HEAD has no body."""
    with finding_nothing(NO_KEY) as objects:
        with pytest.raises(ObjectMissing):
            objects.get("key")
        with pytest.raises(ObjectMissing):
            objects.download("key", tmp_path / "copy")
        with pytest.raises(ObjectMissing):
            objects.size_bytes("key")
