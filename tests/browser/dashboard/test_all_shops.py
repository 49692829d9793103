"""The operator's page: totals, shops that went quiet, and the list of all shops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import traffic_tools as tools
from dashboard_pages import (
    TENANT_COLUMNS,
    WIDTHS,
    ZONE,
    Shop,
    assert_good,
    card,
    opened,
    route_rows,
)
from http_tools import INTERACTIONS
from playwright.sync_api import Page, expect


def test_all_shops_in_a_table_that_sorts(page: Page, shop: Shop) -> None:
    """Every choice is in the address, and the back button works."""
    opened(page, shop.url)
    names = page.locator("tbody th")
    assert names.all_inner_texts()[0] == "La Colmena"
    page.get_by_role("link", name="Shop", exact=True).click()
    page.wait_for_url("**sort=tenant")
    expect(names.first).to_have_text("Dos Días")
    page.get_by_role("link", name="Shop", exact=True).click()
    page.wait_for_url("**sort=-tenant")
    expect(names.first).to_have_text("Taller")
    assert_good(page)
    scrolls = page.locator(".scroll").evaluate("node => node.scrollWidth > node.clientWidth")
    assert scrolls == (page.evaluate("innerWidth") == min(WIDTHS))
    assert page.get_by_text("The table scrolls sideways.").is_visible() == scrolls
    page.get_by_role("link", name="La Colmena").click()
    page.wait_for_url("**shop=la-colmena**")
    expect(page.get_by_role("heading", level=1)).to_have_text("La Colmena")
    page.get_by_role("combobox", name="Period").select_option("today")
    page.wait_for_url("**period=today**")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shops")
    expect(names.first).to_have_text("Taller")


def test_the_list_has_what_the_reports_say(wide: Page, shop: Shop) -> None:
    """Sales and revenue of each shop, and when it was heard last; totals on the cards."""
    page = wide
    opened(page, f"{shop.url}/?find=colmena")
    [cells] = [row.locator("td").all_inner_texts() for row in page.locator("tbody tr").all()]
    [summary] = shop.report("summary", tenant="la-colmena")
    assert (cells[0], cells[2]) == (str(summary["visitors"]), str(summary["transactions"]))
    assert cells[3].split() == ["L", "560.00"]
    [heard] = shop.report("heard", tenant="la-colmena", tz=ZONE)
    assert cells[4].endswith(str(heard["heard_at"])[11:16])
    assert card(page, "Sales") == str(
        sum(int(str(row["transactions"])) for row in shop.report("summary"))
    )


def _named(number: int, name: str, currency: str | None) -> dict[str, object]:
    """A row of the report `shops`."""
    known = {"tenant_id": number, "tenant": name.lower(), "name": name, "status": "active"}
    return known | {"currency": currency}


def _sold(shop: int, currency: str, value: str, transactions: int = 1) -> dict[str, object]:
    """A row of the report `shop-revenue`."""
    sold = {"currency": currency, "value": value, "transactions": transactions}
    return {"tenant_id": shop, **sold}


def test_revenue_sorts_within_a_currency(wide: Page, shop: Shop) -> None:
    """That of most sales first; a shop of several by its own. Nothing sold is the least."""
    page = wide
    currencies = {"Ana": "HNL", "Bo": None, "Cy": None, "Di": "HNL", "Ed": "HNL", "Flo": None}
    known = [_named(91 + place, *shop) for place, shop in enumerate(currencies.items())]
    route_rows(page, "shops", known)
    sold = [_sold(91, "USD", "9000.5000", 5), _sold(91, "HNL", "99.0000"), _sold(92, "USD", "700")]
    sold += [_sold(93, "USD", "1000", 2), _sold(93, "HNL", "9"), _sold(94, "HNL", "400", 9)]
    route_rows(page, "shop-revenue", [*sold, _sold(95, "HNL", "1000.0000")])
    opened(page, f"{shop.url}/?from=2020-01-01&to=2020-01-02")
    names = page.locator("tbody th")
    rule = page.get_by_text("Revenue is sorted within each currency, in the order HNL, USD;")
    expect(rule).to_have_count(0)
    page.get_by_role("link", name="Revenue", exact=True).click()
    page.wait_for_url("**sort=-revenue")
    expect(names).to_have_text(["Ed", "Di", "Ana", "Cy", "Bo", "Flo"])
    expect(rule).to_be_visible()
    first = page.get_by_role("row", name="Ana").locator(".several span").first
    assert first.inner_text().split() == ["L", "99.00"]
    page.get_by_role("link", name="Revenue", exact=True).click()
    page.wait_for_url("**sort=revenue")
    expect(names).to_have_text(["Flo", "Ana", "Di", "Ed", "Bo", "Cy"])


def test_new_events_change_the_list_and_nothing_else(wide: Page, shop: Shop) -> None:
    """Within seconds, without a reload; a shop's row moves to its new place with the focus."""
    page = wide
    opened(page, f"{shop.url}/?sort=-heardMs")
    rows = page.locator("tbody tr")
    expect(rows.first.locator("svg")).to_be_visible()
    silent = rows.filter(has_text="Panadería El Sol")
    expect(silent).to_contain_text("none in 90 days")
    silent.get_by_role("link").focus()
    kept = silent.get_by_role("link").element_handle()
    shop.send(INTERACTIONS, tenant_id=3, type="maps_click")
    expect(page.locator(".live")).to_contain_text("Latest event: Map, Panadería El Sol, ")
    expect(rows.first.locator("th")).to_have_text("Panadería El Sol")
    assert page.evaluate("node => document.activeElement === node", kept)
    expect(page.locator(".card", has_text="Shops with events").locator(".number")).to_have_text("3")


def test_the_list_of_shops_names_its_comparison(wide: Page, two_days: Shop) -> None:
    """A day that is over is compared with the whole day before. The totals have a change, too."""
    page = wide
    day = datetime.now(ZoneInfo(ZONE)) - timedelta(days=1)
    before = day - timedelta(days=1)
    opened(page, f"{two_days.url}/?from={day:%Y-%m-%d}&to={day:%Y-%m-%d}")
    note = page.locator(".note").first
    expect(note).to_contain_text(f"compared with {before:%b %-d}")
    expect(note).not_to_contain_text("until")
    assert card(page, "Revenue") == "L 1,000.00"
    sold = page.get_by_role("row", name="Dos Días").get_by_role("cell", name="L 1,000.00")
    expect(sold).to_be_visible()
    opened(page, f"{two_days.url}/?period=today")
    expect(note).to_contain_text("compared with yesterday until ")
    changes = {
        name: page.locator(".card", has_text=name).locator(".change").inner_text()
        for name in ("Sales", "Revenue")
    }
    assert changes == {"Sales": "▲ +200%", "Revenue": "▲ +660%"}


def test_shops_that_went_quiet_are_counted_whole(wide: Page, shop: Shop) -> None:
    """More than the list of them shows, without those that are not active."""
    page = wide
    long_ago = "2020-01-01T00:00:00Z"
    quiet = [
        {"tenant_id": 1000 + number, "tenant": f"q-{number}", "heard_at": long_ago}
        | {"active_days": 7}
        for number in range(202)
    ]
    known = [
        {"tenant_id": row["tenant_id"], "tenant": row["tenant"], "name": None, "status": "active"}
        for row in quiet
    ]
    known[0]["status"] = "inactive"
    route_rows(page, "heard", quiet)
    route_rows(page, "shops", known)
    opened(page, f"{shop.url}/?period=30d")
    expect(page.get_by_role("heading", name="201 shops went quiet")).to_be_visible()
    links = page.locator(".quiet a")
    assert links.count() == 100
    assert links.first.get_attribute("href") == "/?shop=q-1&period=30d"


def test_silent_shops_are_found_by_name(wide: Page, shop: Shop) -> None:
    """Without regard to case and accents, and also where no shop had an event."""
    page = wide
    opened(page, f"{shop.url}/?from=2020-01-01&to=2020-01-02")
    names = page.locator("tbody th")
    expect(names).to_have_text(["Dos Días", "Panadería El Sol", "La Colmena", "Taller"])
    opened(page, f"{shop.url}/?from=2020-01-01&to=2020-01-02&find=PANADERIA")
    expect(names).to_have_text(["Panadería El Sol"])
    assert_good(page)
    for find, name in (("días", "Dos Días"), ("LA-COLMENA", "La Colmena"), ("TALL", "Taller")):
        page.get_by_role("searchbox", name="Find a shop").fill(find)
        expect(names).to_have_text([name])
    names.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Taller")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A service with 230 shops, each with an event, that seals segments as often as by default."""
    folder = tmp_path_factory.mktemp("street")
    ids = range(1, 231)
    rows = [
        f"{id_},00000000-0000-0000-0000-{id_:012},shop-{id_:03},Shop {id_:03},active,{ZONE}"
        for id_ in ids
    ]
    (folder / "tenants.csv").write_text("\n".join([TENANT_COLUMNS, *rows, ""]))
    data = folder / "data"
    tools.import_directory(folder / "tenants.csv", data=data)
    with tools.running("serve", data) as service:
        shop = Shop(service, data)
        for tenant_id in ids:
            shop.send(INTERACTIONS, tenant_id=tenant_id, type="view")
        tools.eventually(
            lambda: len(shop.report("summary")) == len(ids),
            timeout_s=60,
            what="every shop is in the reports",
        )
        yield shop


def test_many_shops_come_a_hundred_at_a_time(wide: Page, street: Shop) -> None:
    """Each shown shop has a line over time, and the finder finds the others by name."""
    page = wide
    opened(page, f"{street.url}/?sort=tenant")
    names = page.locator("tbody th")
    expect(names).to_have_count(100)
    expect(page.locator("tbody td.spark svg")).to_have_count(100)
    assert card(page, "Shops with events") == "230"
    page.get_by_role("button", name="Show 100 more").click()
    expect(names).to_have_count(200)
    expect(page.locator("tbody td.spark svg")).to_have_count(200)
    expect(page.get_by_role("link", name="Shop 101")).to_be_focused()
    assert "shown=200" in page.url
    page.go_back()
    expect(names).to_have_count(100)
    page.get_by_role("searchbox", name="Find a shop").fill("SHOP-22")
    expect(names).to_have_text([f"Shop {number}" for number in range(220, 230)])
    assert_good(page)
    page.reload()
    expect(names).to_have_count(10)
    page.get_by_role("searchbox", name="Find a shop").fill("nobody")
    expect(page.get_by_text("No shop has this name.")).to_be_visible()


def test_an_event_is_soon_on_an_open_page(wide: Page, street: Shop) -> None:
    """Within seconds on an idle machine, with the settings as they are."""
    page = wide
    opened(page, f"{street.url}/?shop=shop-001")
    assert card(page, "Contacts") == "0"
    expect(page.locator(".live strong")).to_be_visible()
    street.send(INTERACTIONS, tenant_id=1, type="maps_click")
    contacts = page.locator(".card", has_text="Contacts").locator(".number")
    expect(contacts).to_have_text("1", timeout=30_000)
