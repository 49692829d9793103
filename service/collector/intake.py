"""The endpoints' rules, in the order a reader asks about them; the heart of the collector.

For each request: may this client ask (the gate of its address), what did it send (body, contract),
for whom (directory, the tenant's gate), then the record, and the reply once the log has it on disk.
Knows no HTTP server: a `Submission` comes in, a `Reply` goes out.

Who is at fault is never confused. What a client can mend is a 4xx and is kept in the rejected
stream with its reason; what it cannot is a 503 with Retry-After, and the client still holds the
event. Two endpoints never disturb the page they are called from: a conversion answers `skipped`,
an interaction answers `accepted`, to everything but a throttle or an overload.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any, NamedTuple, Protocol

from etl.directory.entries import DirectoryUnavailable, Tenant
from etl.log.segment_writer import DiskFull
from service.collector import record
from service.collector.bots import is_bot
from service.collector.client import throttle_key
from service.collector.clock import Clock
from service.collector.contract.body import json_value, plain_body
from service.collector.contract.contract import Contract, Payload, transaction_id_of
from service.collector.contract.rejection import Rejection
from service.collector.directory.directory import MISS, Directory, Miss
from service.collector.identifiers import uuid7
from service.collector.journal import Journal, JournalBroken, JournalFull
from service.collector.record import Visit
from service.collector.rejected import RejectedStream
from service.collector.signing import signatures
from service.collector.signing.signatures import NoSecrets, Secrets, SecretsUnavailable
from service.collector.throttle.gates import NO_HEADERS, Gate, Gates, Throttled, quota_headers
from service.collector.throttle.token_bucket import Decision
from service.collector.visitors import DailySalts, SaltDamagedError, visitor_id

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 2
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_TENANT_NOT_FOUND = Rejection("tenant-not-found", 404, "Tenant not found or not available")
_PRODUCT_MESSAGE = "The product does not exist for this tenant."
_PRODUCT_NOT_FOUND = Rejection(
    "product-not-found", 422, _PRODUCT_MESSAGE, {"product_id": [_PRODUCT_MESSAGE]}
)
_DIRECTORY_UNAVAILABLE = Rejection(
    "directory-unavailable", 503, "The directory cannot be read now; send the event again."
)


class Submission(NamedTuple):
    """One request as the collector sees it. `ip` is the client's, `wants_privacy` GPC or DNT.

    `refused` is what the HTTP side found wrong before the body could be read (its size);
    `signature` is the header of that name.
    """

    body: bytes
    content_type: str | None
    content_encoding: str | None
    ip: str
    user_agent: str
    wants_privacy: bool
    refused: Rejection | None = None
    signature: str | None = None


class Reply(NamedTuple):
    """An answer: HTTP status, JSON body and headers."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = NO_HEADERS


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of what is taken, in the units their names say."""

    body_bytes_max: int = 64 << 10
    occurred_past_max_us: int = 7 * 86_400_000_000
    occurred_future_max_us: int = 300_000_000


_NO_SECRETS = NoSecrets()


class Unavailable(Exception):
    """The event could not be made durable; the client still holds it and should try again."""


class Admitted(NamedTuple):
    """A valid payload, the public tenant it is for, and whether that tenant signed it."""

    payload: Payload
    tenant: Tenant
    signed: bool = False


class Endpoints(Protocol):
    """The three endpoints, each a request's reply."""

    async def track(self, submission: Submission) -> Reply: ...
    async def conversion(self, submission: Submission) -> Reply: ...
    async def interactions(self, submission: Submission) -> Reply: ...


class Closed:
    """The endpoints while there is nothing to store with: the client keeps its event."""

    async def track(self, _: Submission) -> Reply:
        """Every event is refused alike."""
        return _unavailable("The service is not ready; send the event again.")

    conversion = interactions = track


class Intake:
    """The three endpoints at work. One instance a worker, on the worker's event loop."""

    def __init__(  # noqa: PLR0913  (the collector's parts, passed in)
        self,
        *,
        contract: Contract,
        directory: Directory,
        journal: Journal,
        salts: DailySalts,
        clock: Clock,
        bounds: Bounds,
        gates: Gates,
        rejected: RejectedStream,
        secrets: Secrets = _NO_SECRETS,
    ) -> None:
        self._contract = contract
        self._directory = directory
        self._journal = journal
        self._salts = salts
        self._clock = clock
        self._bounds = bounds
        self._gates = gates
        self._rejected = rejected
        self._secrets = secrets
        self._by_id = directory.peek_tenant, directory.tenant
        self._by_slug = directory.peek_slug, directory.tenant_by_slug
        # Of this process: what was forked from one state would make the same ids.
        self._random_bits = Random().getrandbits  # noqa: S311 (unique is enough: no id is secret)

    async def track(self, submission: Submission) -> Reply:
        """POST /api/v1/analytics/track: 202 with the event's id; 400 to 422, 429, 503."""
        return await self._behind_api(submission, self._track)

    async def conversion(self, submission: Submission) -> Reply:
        """POST /api/v1/analytics/conversion: 200 `ok`, or `skipped` for all that is wrong with
        the payload; 429, 503."""
        return await self._behind_api(submission, self._conversion)

    async def interactions(self, submission: Submission) -> Reply:
        """POST /api/v1/interactions: 201 `success`, 202 `accepted` where the tenant is not
        known; 400 to 422, 429, 503."""
        gate, address, headers = self._gates.interactions, _address(submission), NO_HEADERS
        try:
            gate.enter(address, len(submission.body))
            plain = self._plain(submission, gate, address)
            payload = _checked(_parsed(plain), self._contract.interaction)
            admitted = await self._admit(payload, *self._by_id, address)
            headers = quota_headers(self._enter_tenant(admitted, len(plain.body), address))
            status, body, _ = await self._interaction(admitted, plain)
        except Throttled as refused:
            return _throttled(refused)
        except Unavailable as error:
            return _unavailable(str(error), headers)
        return Reply(status, body, headers)

    async def _behind_api(
        self, submission: Submission, endpoint: Callable[[Submission], Awaitable[Reply]]
    ) -> Reply:
        gate, address, headers = self._gates.api, _address(submission), NO_HEADERS
        try:
            headers = quota_headers(gate.enter(address, len(submission.body)))
            status, body, _ = await endpoint(self._plain(submission, gate, address))
        except Throttled as refused:
            return _throttled(refused)
        except Unavailable as error:
            return _unavailable(str(error), headers)
        return Reply(status, body, headers)

    def _enter_tenant(
        self, admitted: Admitted | Rejection, size_bytes: int, address: str
    ) -> Decision | None:
        """Of a tenant that is not known, all requests of an address count together."""
        gate = self._gates.interactions_tenant
        if isinstance(admitted, Rejection):
            return gate.enter(f"ip:{address}", 0)
        return gate.enter(_tenant_key(admitted), size_bytes)

    async def _track(self, submission: Submission) -> Reply:
        payload = _checked(_parsed(submission), self._contract.track)
        address = _address(submission)
        admitted = await self._admit(payload, *self._by_id, address)
        admitted = self._verified(admitted, submission.body, None)
        admitted = await self._sell(admitted, address)
        if admitted is _DIRECTORY_UNAVAILABLE:
            raise Unavailable(admitted.message)
        if isinstance(admitted, Rejection):
            await self._keep_rejected("track", admitted, submission)
            return _refused(admitted)
        self._gates.api_tenant.add_bytes(_tenant_key(admitted), len(submission.body))
        event_id = await self._store("track", admitted, submission)
        message = "Event accepted for processing"
        return Reply(202, {"success": True, "message": message, "event_id": event_id})

    async def _conversion(self, submission: Submission) -> Reply:
        body = _parsed(submission)
        payload = _checked(body, self._contract.conversion)
        address = _address(submission)
        admitted = await self._admit(payload, *self._by_slug, address)
        admitted = self._verified(admitted, submission.body, submission.signature)
        admitted = await self._sell(admitted, address)
        if isinstance(admitted, Rejection):
            await self._keep_rejected("conversion", admitted, submission)
        else:
            self._gates.api_tenant.add_bytes(_tenant_key(admitted), len(submission.body))
            await self._store("conversion", admitted, submission)
        status = "skipped" if isinstance(admitted, Rejection) else "ok"
        return Reply(200, {"status": status, "transaction_id": transaction_id_of(body)})

    async def _interaction(self, admitted: Admitted | Rejection, submission: Submission) -> Reply:
        sold = await self._sell(admitted, _address(submission))
        if sold is _PRODUCT_NOT_FOUND and isinstance(admitted, Admitted):
            sold = admitted._replace(payload=admitted.payload._replace(product_id=None))
        if isinstance(sold, Rejection):
            await self._keep_rejected("interactions", sold, submission)
            silent = sold in (_TENANT_NOT_FOUND, _DIRECTORY_UNAVAILABLE)
            return Reply(202, {"status": "accepted"}) if silent else _refused(sold)
        await self._store("interactions", sold, submission)
        return Reply(201, {"status": "success"})

    # -- reading ------------------------------------------------------------------------------

    def _plain(self, submission: Submission, gate: Gate, address: str) -> Submission:
        """The submission with its body decompressed, or with why there is none to read."""
        if submission.refused:
            return submission
        plain = plain_body(
            submission.body,
            content_type=submission.content_type,
            content_encoding=submission.content_encoding,
            bytes_max=self._bounds.body_bytes_max,
        )
        if isinstance(plain, Rejection):
            # Compressed bytes are nothing that anybody could read or send again.
            body = b"" if submission.content_encoding else submission.body
            return submission._replace(body=body, refused=plain)
        if plain is submission.body:
            return submission
        gate.add_bytes(address, max(0, len(plain) - len(submission.body)))
        return submission._replace(body=plain)

    async def _admit(
        self,
        payload: Payload | Rejection,
        peek: Callable[[Any], Tenant | Miss | None],
        ask: Callable[[Any, str], Awaitable[Tenant | None]],
        address: str,
    ) -> Admitted | Rejection:
        """Whose event it is."""
        if isinstance(payload, Rejection):
            return payload
        tenant = peek(payload.tenant)
        if tenant is MISS:
            try:
                tenant = await ask(payload.tenant, address)
            except DirectoryUnavailable:
                return _DIRECTORY_UNAVAILABLE
        return Admitted(payload, tenant) if tenant else _TENANT_NOT_FOUND

    async def _sell(self, admitted: Admitted | Rejection, address: str) -> Admitted | Rejection:
        """Whether its product, if it names one, is this tenant's."""
        if isinstance(admitted, Rejection) or admitted.payload.product_id is None:
            return admitted
        tenant_id, product_id = admitted.tenant.id, admitted.payload.product_id
        sold = self._directory.peek_product(tenant_id, product_id)
        if sold is MISS:
            try:
                sold = await self._directory.has_product(tenant_id, product_id, address)
            except DirectoryUnavailable:
                return _DIRECTORY_UNAVAILABLE
        return admitted if sold else _PRODUCT_NOT_FOUND

    def _verified(
        self, admitted: Admitted | Rejection, body: bytes, header: str | None
    ) -> Admitted | Rejection:
        """Whether the tenant signed it, and whether it had to. One that has no secret signs
        nothing: its header is ignored. Raises Unavailable."""
        if isinstance(admitted, Rejection):
            return admitted
        tenant_id, is_sale = admitted.tenant.id, admitted.payload.type in signatures.SALES
        try:
            secrets = () if header is None else self._secrets.valid(tenant_id)
            must_be_signed = is_sale and self._secrets.only_signed(tenant_id)
        except SecretsUnavailable as error:
            log.error("no signature is verified", extra={"fields": {"why": str(error)}})
            raise Unavailable("Signatures cannot be verified now; send the sale again.") from error
        if header is not None and secrets:
            refusal = signatures.verify(secrets, header, body, self._clock.now_us())
            return refusal or admitted._replace(signed=True)
        return signatures.MISSING if must_be_signed else admitted

    # -- storing ------------------------------------------------------------------------------

    async def _store(self, endpoint: str, admitted: Admitted, submission: Submission) -> str:
        """Make the event durable and return its id. Raises Unavailable."""
        payload, tenant = admitted.payload, admitted.tenant
        if self._clock.has_fallen():
            await self._journal.on_time()
        received_us = self._clock.now_us()
        visit = Visit(
            endpoint,
            tenant.id,
            payload.event_id or uuid7(received_us, self._random_bits),
            received_us,
            self._occurred_us(payload, received_us),
            self._visitor_id(tenant, submission, received_us),
            is_bot(submission.user_agent),
            admitted.signed,
        )
        try:
            await self._journal.submit(record.event(payload, visit), received_us)
        except JournalFull as error:
            raise Unavailable("Overloaded; send the event again.") from error
        except (DiskFull, JournalBroken) as error:
            raise Unavailable("The event could not be stored; send it again.") from error
        return visit.event_id

    def _occurred_us(self, payload: Payload, received_us: int) -> int:
        claimed_us = payload.timestamp_us
        if claimed_us is None:
            return received_us
        earliest_us = received_us - self._bounds.occurred_past_max_us
        latest_us = received_us + self._bounds.occurred_future_max_us
        return claimed_us if earliest_us <= claimed_us <= latest_us else received_us

    def _visitor_id(self, tenant: Tenant, submission: Submission, received_us: int) -> str | None:
        if submission.wants_privacy:
            return None
        day = date.fromordinal(_EPOCH_DAY + received_us // _DAY_US)
        try:
            salt = self._salts.salt(day)
        except (OSError, SaltDamagedError) as error:
            log.error("no visitor id", extra={"fields": {"why": str(error)}})
            return None
        return visitor_id(salt, tenant.id, submission.ip, submission.user_agent)

    async def _keep_rejected(
        self, endpoint: str, refusal: Rejection, submission: Submission
    ) -> None:
        """Store a refused payload, if there is room. A payload that was refused for our own
        fault is the only copy of an event: Unavailable is raised unless it is kept whole."""
        body = submission.body
        ours = refusal is _DIRECTORY_UNAVAILABLE
        if ours and len(body) > record.REJECTED_BODY_BYTES_MAX:
            raise Unavailable(refusal.message)
        kept = await self._rejected.keep(endpoint, refusal, body, _address(submission))
        if ours and not kept:
            raise Unavailable(refusal.message)


def _parsed(submission: Submission) -> object | Rejection:
    return submission.refused or json_value(submission.body)


def _checked(body: object, check: Callable[[object], Payload | Rejection]) -> Payload | Rejection:
    return body if isinstance(body, Rejection) else check(body)


def _address(submission: Submission) -> str:
    return throttle_key(submission.ip)


def _tenant_key(admitted: Admitted) -> str:
    return f"tenant:{admitted.tenant.id}"


def _throttled(refused: Throttled) -> Reply:
    return Reply(429, {"success": False, "message": str(refused)}, refused.headers)


def _unavailable(message: str, quota_headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    body = {"success": False, "message": message}
    return Reply(503, body, {**quota_headers, "Retry-After": str(_RETRY_AFTER_S)})


def _refused(refusal: Rejection) -> Reply:
    body: dict[str, object] = {"success": False, "message": refusal.message}
    if refusal.errors:
        body["errors"] = {name: list(messages) for name, messages in refusal.errors.items()}
    return Reply(refusal.status, body)
