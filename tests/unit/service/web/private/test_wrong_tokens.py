"""Guesses are counted by subscriber, as requests of the public port are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from service.collector.client import ClientAddress
from service.web.private.access import Access, Denied
from service.web.private.tokens import TokenStore


def guess(client: str) -> HTTPServerRequest:
    """A request with a wrong token, of a client that a trusted proxy names."""
    headers = {"Host": "reports.example", "Authorization": "Bearer x", "X-Forwarded-For": client}
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    request = HTTPServerRequest(start_line=line, headers=HTTPHeaders(headers))
    request.remote_ip = "127.0.0.1"
    return request


@pytest.mark.gen_test
async def test_a_whole_ipv6_network_is_one_guesser(tmp_path: Path) -> None:
    """A subscriber has 2**64 addresses of one /64; the next network is another."""
    store = TokenStore(tmp_path / "tokens.json")
    access = Access("right", store, proxies=ClientAddress(["127.0.0.1"]), wrong_delay_s=0)

    async def status(client: str) -> int:
        with pytest.raises(Denied) as denied:
            await access.reader(guess(client))
        return denied.value.status

    here = [await status(f"2001:db8:0:1::{n}") for n in range(11)]
    assert here == [401] * 10 + [429]
    assert await status("2001:db8:0:2::1") == 401
