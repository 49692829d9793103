"""A batch: a result for each event, the same as the event's own endpoint would reply."""

import asyncio
import gzip
import json
import uuid
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from backports import zstd
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_tools import CONVERSION, EVENT_ID, INTERACTION, NOW, SUBMISSION, TRACK, Collector

from etl.directory.entries import Tenant
from etl.log.segment_writer import DiskFull
from service.collector.directory.lookups import LookupBounds
from service.collector.intake import Reply, Waiting
from service.collector.journal import JournalBroken, JournalFull
from service.collector.signing.secret_store import SecretStore
from service.collector.signing.signatures import sign
from service.collector.throttle.token_bucket import Rate

TRACKED = TRACK | {"endpoint": "track"}
SOLD = CONVERSION | {"endpoint": "conversion"}
SEEN = INTERACTION | {"endpoint": "interactions"}
THROTTLED = {"status": "throttled", "retryable": True}
UNAVAILABLE = {"status": "unavailable", "retryable": True}


def few(burst: int) -> Rate:
    """One a minute."""
    return Rate(per_s=1 / 60, burst=burst)


def nested(levels: int) -> Any:
    """Objects in objects."""
    return orjson.loads(b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1))


def statuses(reply: Reply) -> list[Any]:
    results: Any = reply.body["results"]
    return [result["status"] for result in results]


def rejected(reason: str, **errors: list[str]) -> dict[str, Any]:
    return {"status": "rejected", "reason": reason, "errors": errors, "retryable": False}


# -- results ----------------------------------------------------------------------------------


def test_every_event_has_its_result_in_order(collector: Collector) -> None:
    """A bad one costs no good one; the accepted ones are one commit, the rejected ones are kept."""
    bad = TRACKED | {"tenant_id": 99}
    reply = collector.send("batch", [TRACKED | {"event_id": EVENT_ID}, bad, SOLD, SEEN])
    first, second, *rest = reply.body["results"]  # type: ignore[misc]
    assert reply.status == 207
    assert first == {"status": "accepted", "event_id": EVENT_ID}
    message = "Tenant not found or not available"
    assert second == rejected("tenant-not-found", body=[message])
    assert [uuid.UUID(one["event_id"]).version for one in rest] == [7, 7]
    assert [event["endpoint"] for event in collector.events] == [
        "track",
        "conversion",
        "interactions",
    ]
    assert collector.journal.commits == [collector.events]
    (kept,) = collector.rejected
    assert (kept["endpoint"], kept["reason"]) == ("track", "tenant-not-found")
    assert json.loads(kept["body"]) == TRACK | {"tenant_id": 99}


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([TRACKED, SOLD], 200),
        ([TRACKED, {}], 207),
        ([{}, TRACKED | {"type": "x"}], 422),
    ],
)
def test_the_status_says_how_many_were_accepted(
    collector: Collector, events: list[Any], status: int
) -> None:
    """All, some or none."""
    assert collector.send("batch", events).status == status


@pytest.mark.parametrize(
    ("event", "reason", "errors"),
    [
        (7, "payload-invalid", {"body": ["The event must be an object."]}),
        ([TRACKED], "payload-invalid", {"body": ["The event must be an object."]}),
        (TRACK, "field-missing", {"endpoint": ["The endpoint field is required."]}),
        (TRACK | {"endpoint": None}, "field-missing", None),
        (
            TRACK | {"endpoint": "batch"},
            "endpoint-unknown",
            {"endpoint": ["The endpoint field must be one of: track, conversion, interactions."]},
        ),
        (TRACK | {"endpoint": ["track"]}, "endpoint-unknown", None),
        (SEEN | {"type": "call"}, "type-not-allowed", None),
        (SOLD | {"tenant_slug": "nowhere"}, "tenant-not-found", None),
        (SOLD | {"product_id": 7}, "product-not-found", None),
        (
            TRACKED | {"metadata": nested(16)},
            "too-deep",
            {"body": ["The body nests deeper than 16."]},
        ),
        (TRACKED | {"metadata": nested(300)}, "too-deep", None),
        (TRACKED | {"pad": "x" * 70_000}, "body-too-large", {"body": ["The event is too large."]}),
    ],
)
def test_a_bad_event_is_rejected_alone(
    collector: Collector, event: object, reason: str, errors: dict[str, Any] | None
) -> None:
    """With the reason that is kept, and messages by field."""
    reply = collector.send("batch", [SEEN, event, SEEN])
    _, result, _ = reply.body["results"]  # type: ignore[misc]
    assert reply.status == 207
    assert statuses(reply) == ["accepted", "rejected", "accepted"]
    assert (result["reason"], result["retryable"]) == (reason, False)
    assert all(result["errors"].values())
    if errors is not None:
        assert result["errors"] == errors
    assert collector.reasons == [reason]
    assert len(collector.events) == 2


def test_an_event_of_no_endpoint_is_kept_without_its_body(collector: Collector) -> None:
    """Erasure finds the payloads of a tenant by their endpoint."""
    collector.send("batch", [TRACK, 7])
    assert [(line["endpoint"], line["body"]) for line in collector.rejected] == [("batch", "")] * 2


def test_an_interaction_of_an_unknown_tenant_is_accepted_without_an_id(
    collector: Collector,
) -> None:
    """As its endpoint does: silently, and it is kept among the rejected."""
    reply = collector.send("batch", [SEEN | {"tenant_id": 99}])
    assert (reply.status, reply.body["results"]) == (
        200,
        [{"status": "accepted", "event_id": None}],
    )
    assert (collector.events, collector.reasons) == ([], ["tenant-not-found"])


@pytest.mark.parametrize(
    ("raw", "content_type", "coding"),
    [
        (orjson.dumps([TRACKED, SEEN]), "application/json", None),
        (orjson.dumps([TRACKED, SEEN]), None, None),
        (orjson.dumps(TRACKED) + b"\n\n" + orjson.dumps(SEEN), "application/x-ndjson", None),
        (orjson.dumps(TRACKED) + b"\n" + orjson.dumps(SEEN), "text/plain;charset=UTF-8", None),
        (gzip.compress(orjson.dumps([TRACKED, SEEN])), "application/json", "gzip"),
        (zstd.compress(orjson.dumps([TRACKED, SEEN])), "application/json", "zstd"),
    ],
    ids=["array", "no type", "lines", "plain text", "gzip", "zstd"],
)
def test_a_batch_comes_in_many_forms(
    collector: Collector, raw: bytes, content_type: str | None, coding: str | None
) -> None:
    """An array or lines, compressed or not."""
    reply = collector.send("batch", raw, content_type=content_type, content_encoding=coding)
    assert (reply.status, len(collector.events)) == (200, 2)


@pytest.mark.parametrize(
    ("raw", "changes", "status", "reason"),
    [
        (b"{", {}, 400, "not-json"),
        (b"7", {}, 400, "batch-invalid"),
        (b"[]", {}, 400, "batch-empty"),
        (orjson.dumps([SEEN] * 501), {}, 413, "batch-too-long"),
        (b"[" + b" " * (1 << 20) + b"]", {}, 413, "body-too-large"),
        (zstd.compress(bytes(1 << 25)), {"content_encoding": "zstd"}, 413, "body-too-large"),
        (b"[]", {"content_encoding": "br"}, 415, "encoding-unsupported"),
        (b"[]", {"content_encoding": "gzip"}, 400, "gzip-broken"),
        (b"[]", {"content_type": "text/html"}, 415, "media-type-unsupported"),
    ],
    ids=[
        *("cut", "number", "empty", "long", "large", "bomb"),
        *("coding", "broken", "type"),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused_whole(
    collector: Collector, raw: bytes, changes: dict[str, Any], status: int, reason: str
) -> None:
    """One line says why; its body is not kept, because nobody can say whose it is."""
    reply = collector.send("batch", raw, **changes)
    assert (reply.status, reply.body["success"]) == (status, False)
    assert reply.body["message"]
    (kept,) = collector.rejected
    assert (kept["endpoint"], kept["reason"], kept["body"]) == ("batch", reason, "")
    assert collector.events == []


def test_many_faults_are_explained_in_several_steps(collector: Collector) -> None:
    """Others are served in between; the results are the same."""
    events = [TRACKED | {"type": n % 2 or "call"} for n in range(100)]
    reply = collector.send("batch", events)
    assert statuses(reply) == ["accepted", "rejected"] * 50
    assert len(collector.journal.commits) == 1


def steps(collector: Collector, events: list[Any]) -> int:
    """The steps of a batch between which other requests are served."""

    async def scenario() -> int:
        outcome = collector.endpoints.batch(replace(SUBMISSION, body=orjson.dumps(events)))
        count = 1
        while isinstance(outcome, Waiting):
            outcome = outcome.resume(await outcome.awaited)
            count += 1
        return count

    return asyncio.run(scenario())


def test_large_faults_take_a_step_each(collector: Collector) -> None:
    """An explanation takes time for each value of the list in which the fault is."""
    small = TRACKED | {"metadata": {"a": 2**60}}
    large = TRACKED | {"metadata": {"a": [1] * 20_000 + [2**60]}}
    assert steps(collector, [small] * 10) == 1
    assert 3 <= steps(collector, [small] * 50) <= 10
    assert 4 <= steps(collector, [large] * 8) <= 9


def test_batches_take_turns_to_explain_their_faults(collector: Collector) -> None:
    """One step per turn of the loop, however many batches there are, so that others are served."""
    body = orjson.dumps([TRACKED | {"metadata": {"a": 2**60}}] * 50)

    async def scenario() -> list[int]:
        outcomes = [collector.endpoints.batch(replace(SUBMISSION, body=body)) for _ in range(5)]
        waits = [
            asyncio.ensure_future(each.awaited) for each in outcomes if isinstance(each, Waiting)
        ]
        assert len(waits) == len(outcomes)
        done = [0]
        while done[-1] < len(waits):
            await asyncio.sleep(0)
            done.append(sum(wait.done() for wait in waits))
        return [now - before for before, now in pairwise(done)]

    assert max(asyncio.run(scenario())) == 1


# -- the same as on their own -------------------------------------------------------------------

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tenant_id": st.sampled_from([17, "17", 18, 99, True]),
    "tenant_slug": st.sampled_from(["la-colmena", "el-faro", "nowhere", 7]),
    "type": st.sampled_from(["view", "call", "whatsapp_click", "purchase", "x"]),
    "product_id": st.sampled_from([1042, 7, "x", None]),
    "event_id": st.sampled_from([EVENT_ID, "x"]),
    "metadata": st.sampled_from([{"a": "b"}, {"a": 2**60}, []]),
    "value": st.sampled_from([10, "12.5", "much"]),
}
BODIES = st.sampled_from([TRACK, CONVERSION, INTERACTION, {}]).flatmap(
    lambda valid: st.fixed_dictionaries({}, optional=FIELDS).map(lambda more: valid | more)
)
SEVERAL = st.lists(
    st.tuples(st.sampled_from(["track", "conversion", "interactions"]), BODIES),
    min_size=1,
    max_size=12,
)
FEW = st.integers(1, 9).map(few)
OF_ADDRESSES = {"api": FEW, "address": FEW}
OF_TENANTS = {"tenant_aware": FEW, "tenant_bytes": st.integers(300, 900).map(few)}

Events = list[tuple[str, dict[str, Any]]]
Limits = dict[str, Rate]


@given(SEVERAL, st.fixed_dictionaries({}, optional=OF_ADDRESSES | OF_TENANTS))
def test_each_result_is_that_of_the_event_on_its_own(events: Events, limits: Limits) -> None:
    """In any mix, under any limit; and so is the log."""
    compare(events, limits, cold=False)


@settings(max_examples=examples(40))
@given(SEVERAL, st.fixed_dictionaries({}, optional=OF_ADDRESSES))
def test_the_result_is_the_same_if_the_directory_is_asked(events: Events, limits: Limits) -> None:
    """The limits of addresses come before the look-ups."""
    compare(events, limits, cold=True)


@settings(max_examples=examples(40))
@given(SEVERAL, FEW)
def test_as_many_are_throttled_if_the_directory_is_asked(events: Events, limit: Rate) -> None:
    """The limits of tenants come after the look-ups, so perhaps it is another one of them."""
    with TemporaryDirectory() as folder:
        wanted, reply, _ = both_ways(Path(folder), events, {"tenant_aware": limit}, cold=True)
    throttled = wanted.count(THROTTLED)
    if reply.status == 429:
        assert throttled == len(events)
    else:
        assert statuses(reply).count("throttled") == throttled


def compare(events: Events, limits: Limits, *, cold: bool) -> None:
    """See that a batch has the results, and leaves the lines, of its events on their own."""
    with TemporaryDirectory() as folder:
        wanted, reply, (alone, together) = both_ways(Path(folder), events, limits, cold=cold)
    assert reply.status == status_of(wanted)
    if reply.status != 429:
        assert list(map(comparable, reply.body["results"])) == wanted  # type: ignore[call-overload]
    for line in (*together.events, *alone.events):
        del line["event_id"]
    assert together.events == alone.events
    assert together.rejected == alone.rejected


def both_ways(
    folder: Path, events: Events, limits: Limits, *, cold: bool
) -> tuple[list[dict[str, Any]], Reply, tuple[Collector, Collector]]:
    """Send each event on its own, and all in a batch, to collectors that are alike."""
    alone, together = (Collector(folder, **limits) for _ in range(2))
    alone.directory.cold = together.directory.cold = cold
    wanted = [told(alone, name, body) for name, body in events]
    reply = together.send("batch", [body | {"endpoint": name} for name, body in events])
    return wanted, reply, (alone, together)


def told(collector: Collector, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    """The result that follows from the reply of the event's own endpoint, without an id."""
    reply = collector.send(endpoint, orjson.dumps(body))
    if reply.status == 429:
        return THROTTLED
    is_silent = endpoint == "interactions" and reply.status == 202
    if is_silent or (reply.status < 300 and reply.body.get("status") != "skipped"):
        return {"status": "accepted"}
    line = collector.rejected[-1]
    return comparable(rejected(line["reason"], **line["errors"]))


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the server's id, and without a message about the whole event."""
    is_about_all = result.get("errors", {}).keys() <= {"body"}
    hidden = {"event_id", "errors"} if is_about_all else {"event_id"}
    return {name: value for name, value in result.items() if name not in hidden}


def status_of(results: list[dict[str, Any]]) -> int:
    words = [result["status"] for result in results]
    if "accepted" in words:
        return 200 if set(words) == {"accepted"} else 207
    return 422 if "rejected" in words else 429


# -- limits -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gates")
def test_events_over_a_limit_are_throttled_alone(tmp_path: Path) -> None:
    """Each event counts; those of another group, and those before, are taken."""
    collector = Collector(tmp_path, api=few(2), address=few(9), tenant_aware=few(9))
    reply = collector.send("batch", [TRACKED, SEEN, SOLD, TRACKED, SEEN])
    assert reply.status == 207
    assert statuses(reply) == ["accepted", "accepted", "accepted", "throttled", "accepted"]
    assert reply.body["results"][3] == THROTTLED  # type: ignore[index]
    assert reply.headers["Retry-After"] == "60"
    assert reply.headers["X-RateLimit-Remaining"] == "0"
    assert len(collector.events) == 4


def test_decisions_elsewhere_are_waited_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many events a batch has, unlike look-ups."""
    monkeypatch.setattr(Collector, "gates_are_late", True)
    collector = Collector(tmp_path, api=few(9), address=few(99), tenant_aware=few(99))
    assert steps(collector, [SEEN, TRACKED] * 2) == steps(collector, [SEEN, TRACKED] * 30)


@pytest.mark.usefixtures("gates")
def test_a_batch_within_its_limits_says_how_many_are_left(tmp_path: Path) -> None:
    """Of the address, after all of it."""
    collector = Collector(tmp_path, api=few(9))
    reply = collector.send("batch", [TRACKED, {}, SEEN, TRACKED])
    assert (reply.headers["X-RateLimit-Limit"], reply.headers["X-RateLimit-Remaining"]) == (
        "9",
        "6",
    )


@pytest.mark.usefixtures("gates")
def test_a_batch_of_throttled_events_alone_is_a_429(tmp_path: Path) -> None:
    """It may be sent again whole; nothing of it is kept."""
    collector = Collector(tmp_path, api=few(1))
    collector.send("track", TRACK)
    reply = collector.send("batch", [TRACKED, SOLD])
    assert (reply.status, reply.headers["Retry-After"]) == (429, "60")
    assert reply.body == {
        "success": False,
        "message": "Too many requests from this address; try again in 60 s",
    }
    assert len(collector.journal.lines) == 1


@pytest.mark.usefixtures("gates")
def test_a_tenant_that_is_throttled_costs_another_nothing(tmp_path: Path) -> None:
    """Nor does a throttled address ask the directory."""
    collector = Collector(tmp_path, tenant_aware=few(1), api=few(2))
    collector.directory.cold = True
    batch = [SEEN, SEEN, SEEN | {"tenant_id": 18}, TRACKED, TRACKED, TRACKED]
    reply = collector.send("batch", batch)
    assert statuses(reply) == [
        "accepted",
        "throttled",
        *["accepted"] * 3,
        "throttled",
    ]
    assert collector.directory.questions == 5


@pytest.mark.usefixtures("gates")
def test_the_bytes_of_a_batch_count_once(tmp_path: Path) -> None:
    """As they are after decompression; beyond the limit nothing is read."""
    batch = orjson.dumps([TRACKED | {"metadata": {"pad": "x" * 900}}] * 2)
    limits = {"api": few(9), "address_bytes": few(len(batch))}
    for raw, coding in ((batch, None), (gzip.compress(batch), "gzip")):
        collector = Collector(tmp_path, **limits)
        assert collector.send("batch", raw, content_encoding=coding).status == 200
        reply = collector.send("batch", raw, content_encoding=coding)
        assert reply.status == 429
        assert reply.body["message"].startswith("Too many bytes from this address")  # type: ignore[attr-defined]
        assert len(collector.events) == 2


@pytest.mark.usefixtures("gates")
def test_a_tenant_stores_no_more_bytes_than_its_limit(tmp_path: Path) -> None:
    """Of the events alone."""
    size = len(orjson.dumps(TRACK))
    collector = Collector(tmp_path, api=few(9), tenant_bytes=few(2 * size))
    reply = collector.send("batch", [TRACKED] * 3)
    assert statuses(reply) == ["accepted", "accepted", "throttled"]


@pytest.mark.usefixtures("gates")
def test_a_batch_that_cannot_be_read_counts_as_a_request(tmp_path: Path) -> None:
    """Past the limit it is not even kept."""
    collector = Collector(tmp_path, api=few(1))
    reply = collector.send("batch", b"{")
    assert (reply.status, reply.headers["X-RateLimit-Remaining"]) == (400, "0")
    assert collector.send("batch", b"{").status == 429
    assert len(collector.rejected) == 1


def test_a_smaller_limit_of_bytes_makes_batches_smaller(tmp_path: Path) -> None:
    """One of another size could never pass the throttle."""
    batch = orjson.dumps([TRACKED] * 3)
    collector = Collector(tmp_path, batch_bytes_max=len(batch) - 1)
    assert collector.send("batch", batch).status == 413


# -- our own faults -----------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["refuses_at_once", "fails_later"])
@pytest.mark.parametrize("fault", [JournalFull("full"), JournalBroken("x"), DiskFull("none left")])
def test_a_batch_that_cannot_be_stored_is_a_503(
    collector: Collector, when: str, fault: Exception
) -> None:
    """Whole: no event is accepted, and the client still has all of them."""
    if when == "refuses_at_once" and isinstance(fault, DiskFull):
        fault = JournalFull("full")
    setattr(collector.journal, when, fault)
    reply = collector.send("batch", [TRACKED, {}, SEEN])
    assert (reply.status, reply.headers["Retry-After"]) == (503, "2")
    assert reply.body["success"] is False
    assert collector.journal.lines == []


def test_an_event_that_cannot_be_checked_now_may_be_sent_again(collector: Collector) -> None:
    """The rest is taken. It is not kept, because the client still has it."""
    collector.directory.cold = collector.directory.down = True
    down = [TRACKED, SOLD, SEEN]
    reply = collector.send("batch", [*down, {}])
    assert (reply.status, reply.headers["Retry-After"]) == (422, "2")
    assert statuses(reply) == ["unavailable"] * 3 + ["rejected"]
    assert reply.body["results"][0] == UNAVAILABLE  # type: ignore[index]
    assert collector.reasons == ["field-missing"]
    alone = collector.send("batch", down)
    assert (alone.status, alone.headers["Retry-After"]) == (503, "2")
    assert alone.body["message"] == "The directory cannot be read now; send the event again."


def test_the_directory_is_asked_once_per_event_that_it_does_not_know(collector: Collector) -> None:
    """First for the tenants, then for the products."""
    collector.directory.cold = True
    reply = collector.send("batch", [TRACKED | {"product_id": 1042}, SOLD, {}, SEEN])
    assert statuses(reply) == ["accepted", "accepted", "rejected", "accepted"]
    assert collector.directory.questions == 4
    assert len(collector.journal.commits) == 1


def test_a_batch_never_asks_more_than_its_address_may(collector: Collector) -> None:
    """A shop without imported products sends unknown ones, in several batches at once."""
    collector.directory.cold = True
    collector.directory.pending_max = LookupBounds().pending_per_asker_max // 8
    reply = collector.send("batch", [SEEN | {"product_id": number} for number in range(500)])
    assert reply.status == 200
    assert statuses(reply) == ["accepted"] * 500
    assert len(collector.journal.commits) == 1


def test_a_directory_that_is_down_delays_a_batch_once(collector: Collector) -> None:
    """After the first failure, all other questions are asked together."""
    collector.directory.cold = collector.directory.down = True
    reply = collector.send("batch", [SEEN] * 500)
    assert reply.status == 503
    assert collector.directory.pending_most > 400


# -- signatures ---------------------------------------------------------------------------------


def signature(body: bytes, *secrets: str) -> str:
    """A header with a signature per secret."""
    seconds = str(int(NOW.timestamp()))
    return ",".join([f"t={seconds}", *(f"v1={sign(secret, seconds, body)}" for secret in secrets)])


def test_the_header_signs_the_whole_batch(tmp_path: Path) -> None:
    """Each sale of a tenant whose secret made one of the signatures is signed."""
    store = SecretStore(tmp_path / "signing.json")
    mine, other = store.create(17, NOW).secret, store.create(18, NOW).secret
    store.refuse_unsigned(17)
    collector = Collector(tmp_path, secrets=store)
    purchase = TRACKED | {"type": "purchase"}
    batch = orjson.dumps([SOLD, SOLD | {"tenant_slug": "el-faro"}, SEEN, purchase])
    sent = zstd.compress(batch)
    reply = collector.send(
        "batch", sent, content_encoding="zstd", signature=signature(batch, mine, other)
    )
    assert statuses(reply) == ["accepted", "accepted", "accepted", "rejected"]
    assert [event.get("signed") for event in collector.events] == [True, True, None]
    assert collector.reasons == ["signature-missing"]
    only_mine = collector.send("batch", batch, signature=signature(batch, mine))
    assert statuses(only_mine) == ["accepted", "rejected", "accepted", "rejected"]
    assert collector.reasons[1:] == ["signature-invalid", "signature-missing"]
    altered = batch.replace(b"10", b"99")
    statuses_altered = statuses(collector.send("batch", altered, signature=signature(batch, mine)))
    assert statuses_altered == ["rejected", "rejected", "accepted", "rejected"]


def test_a_secret_that_cannot_be_read_makes_a_sale_wait(tmp_path: Path) -> None:
    """Our own fault: it may be sent again, and the rest is taken."""
    (tmp_path / "signing.json").write_text("{")
    collector = Collector(tmp_path, secrets=SecretStore(tmp_path / "signing.json"))
    reply = collector.send("batch", [SOLD, SEEN])
    assert (reply.status, statuses(reply)) == (207, ["unavailable", "accepted"])


def test_a_sale_whose_signature_was_not_verified_may_be_sent_again(tmp_path: Path) -> None:
    """Eight tenants are tried per batch; those that did not sign cost no sale of the ninth."""
    store = SecretStore(tmp_path / "signing.json")
    secrets = [store.create(tenant_id, NOW).secret for tenant_id in range(1, 10)]
    collector = Collector(tmp_path, secrets=store)
    shops = {f"shop-{number}": Tenant(number, None, "", "", "active") for number in range(1, 10)}
    collector.directory._slug = shops.get  # type: ignore[method-assign]
    sales = [SOLD | {"tenant_slug": slug} for slug in shops]
    batch = orjson.dumps(sales)
    first = collector.send("batch", batch, signature=signature(batch, secrets[-1]))
    assert statuses(first) == ["rejected"] * 8 + ["unavailable"]
    batch = orjson.dumps(sales[-1:])
    again = collector.send("batch", batch, signature=signature(batch, secrets[-1]))
    assert statuses(again) == ["accepted"]
    assert [event["signed"] for event in collector.events] == [True]
