"""Batches of recorded events: which are sent together, and what a response says of each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.replay.batch import PATH, Batch, batches, outcome
from service.replay.connection import Response
from service.replay.request_file import Request

TRACK = "/api/v1/analytics/track"
CONVERSION = "/api/v1/analytics/conversion"
INTERACTIONS = "/api/v1/interactions"
NAMES = {TRACK: "track", CONVERSION: "conversion", INTERACTIONS: "interactions"}


def request(path: str = TRACK, body: object = None, **headers: str) -> Request:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Request(path, named, orjson.dumps({"n": 1} if body is None else body))


def items(batch: Batch | Request) -> list[Any]:
    assert isinstance(batch, Batch)
    sent = batch.request()
    assert (sent.path, sent.headers) == (PATH, batch.headers)
    values: list[Any] = orjson.loads(sent.body)
    return values


@given(
    st.lists(
        st.builds(
            request,
            st.sampled_from([*NAMES, "/elsewhere"]),
            st.one_of(st.fixed_dictionaries({"n": st.integers(0, 9)}), st.just([])),
            User_Agent=st.sampled_from("ab"),
        )
    ),
    st.integers(2, 5),
)
def test_every_event_is_sent_once_and_in_order(requests: list[Request], events_max: int) -> None:
    """Within the size, with its endpoint, and under its own headers."""
    sent: list[tuple[str, Any, Any]] = []
    for work in batches(requests, events_max):
        if isinstance(work, Request):
            sent.append((work.path, work.headers, orjson.loads(work.body)))
            continue
        values = items(work)
        assert 1 <= len(values) <= events_max
        for value in values:
            name = value.pop("endpoint")
            path = next(path for path in NAMES if NAMES[path] == name)
            sent.append((path, work.headers, value))
    assert sent == [(each.path, each.headers, orjson.loads(each.body)) for each in requests]


def test_events_that_follow_one_another_are_combined() -> None:
    """Up to the size that was asked for."""
    combined = list(batches([request(path) for path in NAMES] * 2, 4))
    assert [len(items(batch)) for batch in combined] == [4, 2]
    assert items(combined[0])[0] == {"n": 1, "endpoint": "track"}


@pytest.mark.parametrize(
    "alone",
    [
        request("/elsewhere"),
        request(body=[]),
        request(CONVERSION, Beaconlog_Signature="t=1,v1=ab"),
        request(content_type="text/html"),
        request(Content_Encoding="gzip"),
    ],
)
def test_a_request_that_is_no_plain_event_is_sent_by_itself(alone: Request) -> None:
    """Its headers describe its own body, or its path takes something else."""
    first, middle, last = batches([request(), alone, request()], 9)
    assert (len(items(first)), middle, len(items(last))) == (1, alone, 1)


def test_a_batch_stays_below_a_mebibyte() -> None:
    """The collector refuses a larger one."""
    large = request(body={"n": "x" * 60_000})
    sizes = [
        len(work.request().body) for work in batches([large] * 40, 500) if isinstance(work, Batch)
    ]
    assert max(sizes) <= 1 << 20
    assert len(sizes) == 3


BATCH = Batch({}, (b'{"n":1}', b'{"n":2}', b'{"n":3}'))
ACCEPTED = {"status": "accepted", "event_id": "x"}
REJECTED = {"status": "rejected", "reason": "x", "errors": {}, "retryable": False}
THROTTLED = {"status": "throttled", "retryable": True}


def response(status: int, results: object) -> Response:
    return Response(status, orjson.dumps({"results": results}), 0.0)


def test_only_what_can_be_taken_later_is_sent_again() -> None:
    """The rest is final."""
    told = outcome(BATCH, response(207, [ACCEPTED, THROTTLED, REJECTED]))
    assert told.final == Counter(accepted=1, rejected=1)
    assert told.again == Batch({}, (b'{"n":2}',))
    assert (told.waiting, told.statuses) == (Counter(throttled=1), Counter())


@pytest.mark.parametrize(("status", "word"), [(429, "throttled"), (503, "unavailable")])
def test_a_refusal_for_now_is_one_of_all_events(status: int, word: str) -> None:
    """All of them are sent again."""
    told = outcome(BATCH, Response(status, b"{}", 1.0))
    assert (told.again, told.waiting, told.final) == (BATCH, Counter({word: 3}), Counter())


@pytest.mark.parametrize(
    "answer",
    [
        Response(404, b"{}", 0.0),
        Response(200, b"<html>", 0.0),
        Response(200, b"[]", 0.0),
        response(200, [ACCEPTED]),
        response(200, ["accepted"] * 3),
        response(200, None),
    ],
)
def test_a_response_without_results_counts_by_its_status(answer: Response) -> None:
    """None of its events is sent again: nobody knows whether it was taken."""
    told = outcome(BATCH, answer)
    assert (told.statuses, told.again, told.final) == (Counter({answer.status: 3}), None, Counter())
