"""What a server of object storage answers, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from obstore.store import S3Store

from etl.object_store import BucketMissing, ObjectStore, ObjectStoreError

NO_BUCKET = b"<Error><Code>NoSuchBucket</Code><Message>no bucket</Message></Error>"


class _NotFound(BaseHTTPRequestHandler):
    """Answers every LIST with 404 and a body."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(params=[b"", NO_BUCKET], ids=["nothing", "no bucket"])
def body(request: pytest.FixtureRequest) -> bytes:
    return bytes(request.param)


@pytest.fixture
def objects(body: bytes) -> Iterator[ObjectStore]:
    """A store whose server finds nothing."""
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
        yield ObjectStore(client, "s3://shops")
        server.shutdown()


def test_a_list_that_finds_nothing_is_no_empty_list(objects: ObjectStore, body: bytes) -> None:
    """Else files and segments that exist would be taken for deleted."""
    with pytest.raises(ObjectStoreError) as raised:
        objects.listed("lake/")
    assert isinstance(raised.value, BucketMissing) == (body == NO_BUCKET)
