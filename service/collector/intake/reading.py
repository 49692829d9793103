"""Decode a submission: decompress its body, parse it, and check its payload."""

from __future__ import annotations

from collections.abc import Callable

from service.collector.contract.body import json_value, plain_body
from service.collector.contract.payload import Payload
from service.collector.contract.rejection import Rejection
from service.collector.intake.submission import Submission
from service.collector.throttle.gates import Gate


def plain(submission: Submission, gate: Gate, address: str, *, bytes_max: int) -> Submission:
    """Return the submission with its body decompressed, or with the rejection of its body.

    The bytes that decompression adds are taken from the limit of `address` at `gate`. Raises
    Throttled.
    """
    if submission.rejection:
        return submission
    body = plain_body(
        submission.body,
        content_type=submission.content_type,
        content_encoding=submission.content_encoding,
        bytes_max=bytes_max,
    )
    if isinstance(body, Rejection):
        # Compressed bytes would be unreadable in the stored payload, so none are stored.
        unread = b"" if submission.content_encoding else submission.body
        return submission._replace(body=unread, rejection=body)
    if body is submission.body:
        return submission
    gate.add_bytes(address, max(0, len(body) - len(submission.body)))
    return submission._replace(body=body)


def json_body(submission: Submission) -> object | Rejection:
    """Return the JSON value of a decompressed submission, or its rejection."""
    return submission.rejection or json_value(submission.body)


def payload(
    body: object | Rejection, check: Callable[[object], Payload | Rejection]
) -> Payload | Rejection:
    """Return the payload of a body, or the rejection; `check` is a method of the contract."""
    return body if isinstance(body, Rejection) else check(body)
