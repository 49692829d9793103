"""The dashboard in a real browser: what it shows is what the reports say; signing in; access."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import traffic_tools as tools
from axe_playwright_python.sync_playwright import Axe
from http_tools import INTERACTIONS, request
from ledger import reports_url
from playwright.sync_api import Browser, Page, expect

TENANTS = """id,uuid,slug,name,status
1,00000000-0000-0000-0000-000000000001,la-colmena,La Colmena,active
2,00000000-0000-0000-0000-000000000002,taller,Taller,active
3,00000000-0000-0000-0000-000000000003,el-sol,Panadería El Sol,active
4,00000000-0000-0000-0000-000000000004,dos-dias,Dos Días,active
"""
PRODUCTS = "id,tenant_id,name,price\n101,1,Miel de abeja,280\n"
CONVERSION = "/api/v1/analytics/conversion"
ZONE = "America/Tegucigalpa"
PATIENCE_MS = 60_000
WIDTHS = (1280, 360)

expect.set_options(timeout=PATIENCE_MS)


class Shop:
    """A running service with some events, and the address of its pages."""

    def __init__(self, service: tools.Service, data: Path) -> None:
        self.service = service
        self.data = data
        self.url = reports_url(service)

    def send(self, path: str, **body: object) -> None:
        answer = request(self.service.url, "POST", path, json.dumps(body).encode())
        assert answer.status in (200, 201, 404, 422), answer

    def report(self, name: str, **parameters: str) -> list[dict[str, object]]:
        query = "&".join(f"{key}={text}" for key, text in parameters.items())
        answer = request(self.url, "GET", f"/api/v1/reports/{name}?{query}")
        rows: list[dict[str, object]] = answer.body["rows"]
        return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four shops."""
    folder = tmp_path_factory.mktemp("dashboard")
    for name, text in (("tenants.csv", TENANTS), ("products.csv", PRODUCTS)):
        (folder / name).write_text(text)
    tools.import_directory(folder / "tenants.csv", folder / "products.csv", data=folder / "data")
    return folder / "data"


@pytest.fixture(scope="module")
def shop(data: Path) -> Iterator[Shop]:
    """A service with 30 views, 5 clicks, 2 sales, one of them sent twice, and a payload for a
    product that the shop does not have."""
    with tools.running("serve", data, segment_age_s=0.2) as service:
        shop = Shop(service, data)
        for _ in range(30):
            shop.send(INTERACTIONS, tenant_id=1, type="view", product_id=101)
        for _ in range(5):
            shop.send(INTERACTIONS, tenant_id=1, type="whatsapp_click")
        for number in (0, 1, 1):
            sale = {"transaction_id": f"T-{number}", "value": 280, "product_id": 101}
            shop.send(CONVERSION, tenant_slug="la-colmena", **sale)
        shop.send("/api/v1/analytics/track", tenant_id="1", type="cart_add", product_id=999)
        shop.send(INTERACTIONS, tenant_id=2, type="view")
        tools.eventually(
            lambda: sum(int(str(row["events"])) for row in shop.report("summary")) == 38,
            timeout_s=60,
            what="every event is in the reports",
        )
        yield shop


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A tab, on a screen and on a phone; errors and foreign requests fail the test."""
    viewport = {"width": request.param, "height": 800}
    context = browser.new_context(viewport=viewport, timezone_id=ZONE)  # type: ignore[arg-type]
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.on("request", lambda sent: None if _is_own(sent.url) else wrong.append(sent.url))
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()
    assert wrong == []


def _is_own(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost") or url.startswith("data:")


def opened(page: Page, url: str) -> None:
    """Load a page and wait until its numbers are there."""
    page.goto(url)
    page.wait_for_selector("#view:not([aria-busy])")


def card(page: Page, name: str) -> str:
    return page.locator(".card", has_text=name).locator(".number").inner_text()


def assert_good(page: Page) -> None:
    """The page does not scroll sideways, and axe finds no violation."""
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide == 0
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def test_a_shops_page_shows_what_the_reports_say(page: Page, shop: Shop) -> None:
    """Cards, charts with their tables, products, revenue, and rejected events in words."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    [summary] = shop.report("summary", tenant="la-colmena")
    assert card(page, "Events") == str(summary["events"]) == "37"
    assert card(page, "Visitors") == str(summary["visitors"])
    assert card(page, "Contacts") == "5"
    assert card(page, "Sales") == "2"
    assert card(page, "Revenue") == "560 HNL"
    expect(page.get_by_role("img", name="Events over time: view 30")).to_be_visible()
    funnel = page.locator("section", has=page.get_by_role("heading", name="Funnel"))
    funnel.get_by_text("Table").click()
    assert funnel.locator("tbody tr").count() == 4
    products = page.locator("section", has=page.get_by_role("heading", name="Top products"))
    assert products.locator("tbody tr").inner_text().split("\t")[:4] == [
        "Miel de abeja",
        "30",
        "0",
        "2",
    ]
    quality = page.locator("section", has=page.get_by_role("heading", name="Data quality"))
    expect(quality).to_contain_text("1 event arrived again and was counted once.")
    expect(quality).to_contain_text("1 event was rejected: product not found.")
    expect(page.locator("#snapshot")).to_contain_text("of the lake")
    assert_good(page)


def test_a_new_event_is_seen_without_a_reload(page: Page, shop: Shop) -> None:
    """The live strip shows it within seconds."""
    opened(page, f"{shop.url}/?shop=taller")
    strip = page.get_by_role("region", name="Last 30 minutes")
    expect(strip).to_contain_text("events in the last 30 minutes")
    before = len(shop.report("recent", tenant="taller"))
    shop.send(INTERACTIONS, tenant_id=2, type="maps_click")
    expect(strip).to_contain_text("maps click")
    expect(strip.locator("strong")).to_have_text(str(before + 1))


def test_all_shops_in_a_table_that_sorts(page: Page, shop: Shop) -> None:
    """Every choice is in the address, and the back button works."""
    opened(page, shop.url)
    names = page.locator("tbody tr td:first-child")
    assert names.all_inner_texts()[0] == "la-colmena"
    page.get_by_role("button", name="Shop").click()
    page.wait_for_url("**sort=-tenant")
    expect(names.first).to_have_text("taller")
    assert_good(page)
    page.get_by_role("link", name="la-colmena").click()
    page.wait_for_url("**shop=la-colmena**")
    expect(page.get_by_role("heading", level=1)).to_have_text("la-colmena")
    page.get_by_role("combobox", name="Period").select_option("today")
    page.wait_for_url("**period=today**")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shops")
    expect(names.first).to_have_text("taller")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page of 230 shops, each with an event."""
    folder = tmp_path_factory.mktemp("street")
    ids = range(1, 231)
    rows = [f"{id_},00000000-0000-0000-0000-{id_:012},shop-{id_:03},Shop,active" for id_ in ids]
    (folder / "tenants.csv").write_text("\n".join([TENANTS.splitlines()[0], *rows, ""]))
    data = folder / "data"
    tools.import_directory(folder / "tenants.csv", data=data)
    with tools.running("serve", data, segment_age_s=0.2, throttle_tenant_aware="off") as service:
        shop = Shop(service, data)
        for tenant_id in ids:
            shop.send(INTERACTIONS, tenant_id=tenant_id, type="view")
        tools.eventually(
            lambda: len(shop.report("summary")) == len(ids),
            timeout_s=60,
            what="every shop is in the reports",
        )
        yield shop.url


def test_many_shops_come_a_hundred_at_a_time(page: Page, street: str) -> None:
    """Each shown shop has a line over time, and the finder finds the others by name."""
    opened(page, f"{street}/?sort=tenant")
    names = page.locator("tbody tr td:first-child")
    expect(names).to_have_count(100)
    expect(page.locator("tbody td.spark svg")).to_have_count(100)
    assert card(page, "Shops with events") == "230"
    page.get_by_role("button", name="Show 100 more").click()
    expect(names).to_have_count(200)
    expect(page.locator("tbody td.spark svg")).to_have_count(200)
    expect(page.get_by_role("link", name="shop-101")).to_be_focused()
    assert "shown=200" in page.url
    page.go_back()
    expect(names).to_have_count(100)
    page.get_by_role("searchbox", name="Find a shop").fill("SHOP-22")
    expect(names).to_have_text([f"shop-{number}" for number in range(220, 230)])
    assert_good(page)
    page.reload()
    expect(names).to_have_count(10)
    page.get_by_role("searchbox", name="Find a shop").fill("nobody")
    expect(page.get_by_text("No shop has this name")).to_be_visible()


def test_a_period_of_ones_own(page: Page, shop: Shop) -> None:
    """A period in the address; without events the page says what to do."""
    opened(page, f"{shop.url}/?shop=la-colmena&from=2020-01-01&to=2020-01-02")
    expect(page.locator("#view")).to_contain_text("No events in this period.")
    expect(page.locator("pre")).to_contain_text("beacon.js")
    assert page.get_by_label("From", exact=True).input_value() == "2020-01-01"
    assert_good(page)


def axis(page: Page, anchors: str) -> list[str]:
    """The labels of the chart over time with one of those anchors, in order."""
    labels = page.get_by_role("img", name="Events over time:").locator("text").all()
    pairs = [(label.get_attribute("text-anchor"), label.text_content() or "") for label in labels]
    return [text for anchor, text in pairs if anchor in anchors.split()]


def legend(page: Page) -> list[str]:
    """The items of the legend of the chart over time."""
    return page.locator(".legend li").all_inner_texts()


def test_an_axis_spans_the_period(page: Page, shop: Shop) -> None:
    """Seven days of which one has events; the hours of a day that is not over."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    chart = page.get_by_role("img", name="Events over time:")
    today = datetime.now(ZoneInfo(ZONE))
    dots = chart.locator("circle.s0")
    expect(dots).to_have_count(7)
    assert axis(page, "start") == [f"{today - timedelta(days=6):%b %-d}"]
    chart.focus()
    readings = []
    for _ in range(7):
        chart.press("ArrowRight")
        readings.append(legend(page)[:2])
    days = [f"{today - timedelta(days=ago):%b %-d}" for ago in reversed(range(7))]
    assert readings == [[day, "view 0"] for day in days[:-1]] + [[days[-1], "view 30"]]
    table = page.locator("section", has=page.get_by_role("heading", name="Events over time"))
    table.get_by_text("Table").click()
    assert "0" not in table.locator("tbody td:last-child").all_inner_texts()

    page.get_by_role("combobox", name="Period").select_option("today")
    page.wait_for_url("**period=today")
    hours = int(f"{datetime.now(ZoneInfo(ZONE)):%H}") + 1
    expect(dots).to_have_count(hours)
    every = 3 if (page.viewport_size or {})["width"] > 640 else 6
    wanted = [f"{hour:02}:00" for hour in range(0, 24, every)]
    # In the seventh hour the chart has as many dots as before.
    tools.eventually(
        lambda: axis(page, "start middle") == wanted, timeout_s=60, what="the axis has the hours"
    )
    # A line beside a shop's name spans the same hours.
    opened(page, f"{shop.url}/?period=today&sort=tenant")
    path = page.locator("td.spark path").first.get_attribute("d") or ""
    places = [float(x) for x in re.findall(r"[ML]\s*([0-9.]+)", path)]
    assert len(places) == hours
    assert places[-1] == pytest.approx(100 * (hours - 1) / 23, abs=0.1)


def test_a_chart_is_read_by_pointer_and_by_keys(page: Page, shop: Shop) -> None:
    """The legend shows the values of the bucket that is pointed at, otherwise the totals."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    page.get_by_role("list", name="Latest events").wait_for()  # moves the charts when it comes
    chart = page.get_by_role("img", name="Events over time:")
    assert legend(page)[:2] == ["Total", "view 30"]
    box = chart.bounding_box()
    assert box
    chart.hover(position={"x": box["width"] * 0.2, "y": box["height"] / 2})
    assert legend(page)[1] == "view 0"
    expect(chart.locator(".guide")).to_have_attribute("visibility", "visible")
    chart.hover(position={"x": box["width"] - 1, "y": box["height"] / 2})
    assert legend(page)[:2] == [f"{datetime.now(ZoneInfo(ZONE)):%b %-d}", "view 30"]
    page.mouse.move(0, 0)
    assert legend(page)[0] == "Total"
    expect(chart.locator(".guide")).to_have_attribute("visibility", "hidden")
    chart.focus()
    chart.press("ArrowLeft")
    assert legend(page)[1] == "view 30"
    chart.press("ArrowLeft")
    assert legend(page)[1] == "view 0"
    assert_good(page)
    chart.press("Escape")
    assert legend(page)[0] == "Total"


def test_axes_count_in_whole_numbers(page: Page, shop: Shop) -> None:
    """An axis of events has no halves."""
    shop.send(INTERACTIONS, tenant_id=3, type="view")
    tools.eventually(
        lambda: shop.report("summary", tenant="3"), timeout_s=60, what="it is in the reports"
    )
    opened(page, f"{shop.url}/?shop=el-sol")
    page.get_by_role("img", name=re.compile("Events over time: view [12]$")).wait_for()
    for label in axis(page, "end"):
        assert label.isdigit() or label == f"{datetime.now(ZoneInfo(ZONE)):%b %-d}"


def test_the_latest_events_are_in_order_of_time(page: Page, shop: Shop) -> None:
    """The order is by occurrence, not by arrival."""
    now = datetime.now(ZoneInfo(ZONE))
    for ago_min in (1, 9, 4):
        at = (now - timedelta(minutes=ago_min)).isoformat()
        shop.send(INTERACTIONS, tenant_id=2, type="call_click", timestamp=at)
    opened(page, f"{shop.url}/?shop=taller")
    latest = page.get_by_role("list", name="Latest events").get_by_role("listitem")
    expect(latest.filter(has_text="call click")).not_to_have_count(0)
    times = [
        row["occurred_at"]
        for row in shop.report(
            "recent", tenant="taller", tz=ZONE, **{"from": f"{now - timedelta(days=1):%Y-%m-%d}"}
        )
    ]
    wanted = [str(at)[11:19] for at in sorted(map(str, times), reverse=True)]
    expect(latest).to_have_count(min(6, len(wanted)))
    assert [text.split()[0] for text in latest.all_inner_texts()] == wanted[:6]


def test_silent_shops_are_found_by_name(page: Page, shop: Shop) -> None:
    """Without regard to case and accents, and also where no shop had an event."""
    opened(page, f"{shop.url}/?from=2020-01-01&to=2020-01-02")
    names = page.locator("tbody tr td:first-child")
    expect(names).to_have_text(["dos-dias", "el-sol", "la-colmena", "taller"])
    opened(page, f"{shop.url}/?from=2020-01-01&to=2020-01-02&find=PANADERIA")
    expect(names).to_have_text(["el-sol"])
    expect(page.locator("tbody tr")).to_contain_text("Panadería El Sol")
    assert_good(page)
    for find, slug in (("días", "dos-dias"), ("LA COLMENA", "la-colmena"), ("TALL", "taller")):
        page.get_by_role("searchbox", name="Find a shop").fill(find)
        expect(names).to_have_text([slug])
    names.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("taller")


@pytest.mark.parametrize("name", ["dos-dias", "4"])
def test_an_empty_shops_line_names_it(page: Page, shop: Shop, name: str) -> None:
    """The line has the shop's id and slug, whichever of them is in the address."""
    opened(page, f"{shop.url}/?shop={name}&from=2020-01-01&to=2020-01-02")
    expect(page.locator("pre")).to_contain_text('data-tenant="4" data-slug="dos-dias"></script>')
    expect(page.get_by_role("heading", level=1)).to_have_text("dos-dias")


def test_an_id_is_no_slug(page: Page, shop: Shop) -> None:
    """The line of a shop that the directory lacks has its id alone."""
    opened(page, f"{shop.url}/?shop=99")
    expect(page.locator("pre")).to_contain_text('data-tenant="99"></script>')


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=2026-02-31&to=2026-03-01", "has a date that does not exist"),
        ("from=yesterday", "has a date that does not exist"),
        ("period=custom&to=2026-13-01", "has a date that does not exist"),
        ("from=2026-03-02&to=2026-03-01", "ends before it begins"),
    ],
)
@pytest.mark.parametrize("of_shop", ["", "shop=taller&"])
def test_a_wrong_date_in_the_address_is_reported(
    page: Page, shop: Shop, of_shop: str, query: str, message: str
) -> None:
    """With a message and a button that leads to a valid period."""
    opened(page, f"{shop.url}/?{of_shop}{query}")
    expect(page.get_by_role("alert")).to_contain_text(message)
    assert_good(page)
    page.get_by_role("button", name="Last 7 days").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.fixture(scope="module")
def two_days(shop: Shop) -> Shop:
    """The shop dos-dias with sales of 100 at yesterday's start, 900 at its end, and 200 now."""
    midnight = datetime.now(ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    sales = (
        (100, (midnight - timedelta(days=1)).isoformat()),
        (900, (midnight - timedelta(seconds=1)).isoformat()),
        (200, None),
    )
    for value, at in sales:
        sale = {"transaction_id": f"D-{value}", "value": value, "timestamp": at}
        sent = {name: value for name, value in sale.items() if value is not None}
        shop.send(CONVERSION, tenant_slug="dos-dias", **sent)
    tools.eventually(
        lambda: (
            shop.report("revenue", tenant="4", tz=ZONE)
            == [{"currency": "HNL", "transactions": 3, "value": 1200}]
        ),
        timeout_s=60,
        what="every sale is in the reports",
    )
    return shop


def test_every_number_compares_with_the_same_span(page: Page, two_days: Shop) -> None:
    """Today is compared with the same hours of yesterday, and the page says so."""
    opened(page, f"{two_days.url}/?shop=dos-dias&period=today")
    changes = {
        name: page.locator(".card", has_text=name).locator(".change").inner_text()
        for name in ("Events", "Sales", "Revenue")
    }
    assert changes == {"Events": "0%", "Sales": "0%", "Revenue": "▲ +100%"}
    comparison = page.locator(".compared")
    expect(comparison).to_have_text(re.compile(r"^Compared with yesterday until \d\d:\d\d\.$"))
    assert_good(page)
    page.get_by_role("checkbox", name="Compare").uncheck()
    page.wait_for_url("**compare=no")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".change, .compared")).to_have_count(0)


def test_the_list_of_shops_names_its_comparison(page: Page, two_days: Shop) -> None:
    """A day that is over is compared with the whole day before."""
    day = datetime.now(ZoneInfo(ZONE)) - timedelta(days=1)
    before = day - timedelta(days=1)
    opened(page, f"{two_days.url}/?from={day:%Y-%m-%d}&to={day:%Y-%m-%d}")
    expect(page.locator("caption")).to_contain_text(f"compared with {before:%b %-d}")
    expect(page.locator("caption")).not_to_contain_text("until")
    opened(page, f"{two_days.url}/?period=today")
    expect(page.locator("caption")).to_contain_text("compared with yesterday until ")


def test_a_failure_is_shown_and_can_be_tried_again(browser: Browser, shop: Shop) -> None:
    """With the message of the service and a button."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route(
        "**/api/v1/reports/**",
        lambda route: route.fulfill(status=503, body='{"message": "Too many reports are waiting"}'),
    )
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(page.get_by_role("alert")).to_contain_text("Too many reports are waiting")
    page.unroute("**/api/v1/reports/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()
    page.close()


def test_a_page_that_was_left_ends_its_requests(browser: Browser, shop: Shop) -> None:
    """A report that is still awaited is neither drawn nor a failure."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route("**/api/v1/reports/summary?tenant=la-colmena**", lambda route: None)
    with page.expect_request(lambda sent: "summary?tenant=la-colmena" in sent.url):
        page.goto(f"{shop.url}/?shop=la-colmena")
    with page.expect_event("requestfailed", lambda sent: "summary?tenant=la-colmena" in sent.url):
        page.get_by_role("link", name="beaconlog").click()
    expect(page.get_by_role("link", name="la-colmena")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_the_page_is_there_at_once(browser: Browser, shop: Shop) -> None:
    """The page is small, and a browser revalidates its files without receiving them again."""
    page = browser.new_page()
    sizes: list[int] = []
    page.on(
        "response", lambda got: sizes.append(len(got.body())) if "/api/" not in got.url else None
    )
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert 0 < sum(sizes) < 64 << 10
    page.close()
    asset = request(shop.url, "GET", "/assets/app.js")
    again = request(
        shop.url, "GET", "/assets/app.js", headers={"If-None-Match": asset.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")


# -- signing in -------------------------------------------------------------------------------


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
    expect(page.get_by_role("heading", level=1)).to_have_text("Your shop")
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
    expect(page.get_by_role("alert")).to_contain_text("its own shop only")
    assert "Miel" not in page.content()
    page.request.post(f"{shop.url}/signin", form={"token": all_of_it})
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert card(page, "Sales") == "2"
    page.close()


def test_a_wrong_token_is_answered_late(page: Page, guarded: tuple[Shop, str, str]) -> None:
    """And a target on another host is not followed."""
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
