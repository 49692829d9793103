"""A submission: one request, as a server passes it to an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.collector.client import throttle_key
from service.collector.contract.rejection import Rejection
from service.collector.signing.verifier import SignedBody
from service.collector.throttle.gates import quota_headers
from service.collector.throttle.token_bucket import Decision


@dataclass(slots=True)
class Submission:
    """One request. `ip` is the client's; `wants_privacy` says whether GPC or DNT is set,
    `is_browser` whether the headers are those of a browser. `site` is the header Origin.

    `rejection` says why the HTTP server did not read the body (its size). `signature` is the value
    of the header Beaconlog-Signature.
    """

    body: bytes
    content_type: str | None
    content_encoding: str | None
    ip: str
    user_agent: str
    wants_privacy: bool
    rejection: Rejection | None = None
    signature: str | None = None
    is_browser: bool = False
    site: str | None = None


class Request:
    """A submission on its way through the steps of an endpoint.

    `address` is the client's key in the throttle. `content` is that of the body (`contract.body`);
    `decision` is that of the limit that the response shows. Both are set once they are known.
    """

    __slots__ = ("address", "content", "decision", "submission")

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.address = throttle_key(submission.ip)
        self.content: object = None
        self.decision: Decision | None = None

    @property
    def size_bytes(self) -> int:
        """The size of the body: as received, then decompressed."""
        return len(self.submission.body)

    @property
    def quota(self) -> Mapping[str, str]:
        """The quota headers of the response."""
        return quota_headers(self.decision)

    @property
    def signed_body(self) -> SignedBody | None:
        """The body with its signature; None if it is not signed."""
        submission = self.submission
        if submission.signature is None:
            return None
        return SignedBody(submission.body, submission.signature)
