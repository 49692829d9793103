"""Decode a submission: decompress its body, parse it, and check its payload."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from service.collector.contract.body import content
from service.collector.contract.contract import Check
from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.intake.submission import Request
from service.collector.throttle.gates import Gate
from service.collector.waiting import Waiting


class PlainBody(Protocol):
    """A function that decompresses a body: `plain_body`, or `plain_batch` for a batch."""

    def __call__(
        self, raw: bytes, *, content_type: str | None, content_encoding: str | None, bytes_max: int
    ) -> bytes | Rejection:
        """Return the decompressed body of at most `bytes_max` bytes, or the rejection."""


def decompress(
    request: Request, gate: Gate, plain_body: PlainBody, *, bytes_max: int
) -> Waiting[None] | None:
    """Decompress the body of the submission, or set its rejection.

    The bytes that decompression adds are taken from the limit of the request's address at `gate`.
    Returns the wait for that, if any. Raises Throttled.
    """
    submission = request.submission
    if submission.rejection:
        return None
    body = plain_body(
        submission.body,
        content_type=submission.content_type,
        content_encoding=submission.content_encoding,
        bytes_max=bytes_max,
    )
    if isinstance(body, Rejection):
        # Compressed bytes would be unreadable in the stored payload, so none are stored.
        unread = b"" if submission.content_encoding else submission.body
        request.submission = replace(submission, body=unread, rejection=body)
    elif body is not submission.body:
        request.submission = replace(submission, body=body)
        return gate.add_bytes(request.address, max(0, len(body) - len(submission.body)))
    return None


def payload(request: Request, check: Check) -> Payload | Rejection:
    """Parse the decompressed body, and return its payload, or the rejection."""
    submission = request.submission
    read = request.content = submission.rejection or content(submission.body)
    return read if isinstance(read, Rejection) else check(read, submission.body)
