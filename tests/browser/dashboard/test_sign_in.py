"""Signing in with a token, and what each token may see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import traffic_tools as tools
from dashboard_pages import PATIENCE_MS, Shop, assert_good, card, opened
from http_tools import request
from playwright.sync_api import Browser, Page, expect


@pytest.fixture
def guarded(shop: Shop) -> Iterator[tuple[Shop, str, str]]:
    """The service with a token of each kind, revoked at the end."""
    mine = tools.run_json("token", "create", "--tenant", "taller", "--json", data=shop.data)
    all_of_it = tools.run_json("token", "create", "--json", data=shop.data)
    yield shop, str(mine["token"]), str(all_of_it["token"])
    for made in (mine, all_of_it):
        tools.run("token", "revoke", str(made["id"]), data=shop.data)


def test_signing_in(page: Page, guarded: tuple[Shop, str, str]) -> None:
    """A shop's token leads to that shop's page; no script can read the cookie."""
    shop, mine, _ = guarded
    page.goto(f"{shop.url}/?period=today")
    assert urlsplit(page.url).path == "/signin"
    assert parse_qs(urlsplit(page.url).query)["next"] == ["/?period=today"]
    assert_good(page)
    page.get_by_label("Token").fill(mine)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{shop.url}/?period=today")
    expect(page.get_by_role("heading", level=1)).to_have_text("Taller")
    expect(page.locator(".card").first).to_be_visible()
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/signin")
    assert page.context.cookies() == []


def test_a_shops_token_shows_no_other_shop(
    browser: Browser, guarded: tuple[Shop, str, str]
) -> None:
    """The page says so and shows nothing of the other shop."""
    shop, mine, all_of_it = guarded
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.request.post(f"{shop.url}/signin", form={"token": mine})
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(page.get_by_role("alert")).to_contain_text("shows its own shop only")
    assert "Miel" not in page.content()
    page.request.post(f"{shop.url}/signin", form={"token": all_of_it})
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert card(page, "Sales") == "2"
    page.close()


def test_a_wrong_token_is_answered_late(wide: Page, guarded: tuple[Shop, str, str]) -> None:
    """And a target on another host is not followed."""
    page = wide
    shop, mine, _ = guarded
    page.on("response", lambda got: None)
    began_s = time.monotonic()
    wrong = request(
        shop.url,
        "POST",
        "/signin",
        "token=wrong&next=/",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert wrong.status == 401
    assert time.monotonic() - began_s >= 0.5
    assert b"unknown, expired or revoked" in wrong.body
    right = request(
        shop.url,
        "POST",
        "/signin",
        f"token={mine}&next=//evil.example/",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (right.status, right.headers["location"]) == (303, "/")
    foreign = request(
        shop.url, "POST", "/signin", f"token={mine}", {"Origin": "http://evil.example"}
    )
    assert foreign.status == 403
