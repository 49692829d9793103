"""The dashboard in a real browser: what it shows is what the reports say; signing in; access."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import traffic_tools as tools
from axe_playwright_python.sync_playwright import Axe
from http_tools import INTERACTIONS, request
from ledger import reports_url
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

TENANTS = """id,uuid,slug,name,status
1,00000000-0000-0000-0000-000000000001,la-colmena,La Colmena,active
2,00000000-0000-0000-0000-000000000002,taller,Taller,active
3,00000000-0000-0000-0000-000000000003,el-sol,Panadería El Sol,active
4,00000000-0000-0000-0000-000000000004,dos-dias,Dos Días,active
"""
PRODUCTS = "id,tenant_id,name,price\n101,1,Miel de abeja,280\n"
CONVERSION = "/api/v1/analytics/conversion"
ZONE = "America/Tegucigalpa"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
PATIENCE_MS = 60_000
WIDTHS = (1280, 360)
UNMARKED = r"""() => {
  const texts = [...document.querySelectorAll("[aria-label]")].map((node) => node.ariaLabel);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    if (!walker.currentNode.parentNode.matches("noscript")) texts.push(walker.currentNode.data);
  const isUnmarked = (text) => /\p{L}/u.test(text) && !text.includes("¤");
  return texts.map((text) => text.trim()).filter(isUnmarked);
}"""
"""Returns the texts of a page that have letters and no mark."""
DATA = re.compile(
    r"La Colmena|Taller|Panadería El Sol|Dos Días|Miel de abeja|English|Firefox"
    r"|(L|\$)?[\s\d.,]+|(\d+ )?\w{3,4}(,? \d\d:\d\d)?"
)
"""Names, amounts, days and hours."""

expect.set_options(timeout=PATIENCE_MS)


class Shop:
    """A running service with some events, and the address of its pages."""

    def __init__(self, service: tools.Service, data: Path) -> None:
        self.service = service
        self.data = data
        self.url = reports_url(service)

    def send(self, path: str, agent: str = "", **body: object) -> None:
        headers = {"User-Agent": agent} if agent else {}
        answer = request(self.service.url, "POST", path, json.dumps(body).encode(), headers)
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
    yield from _tab(browser, request.param)


@pytest.fixture
def wide(browser: Browser) -> Iterator[Page]:
    """A tab on a screen, for tests of what does not depend on the width."""
    yield from _tab(browser, WIDTHS[0])


def _tab(browser: Browser, width: int) -> Iterator[Page]:
    viewport = ViewportSize(width=width, height=800)
    context = browser.new_context(viewport=viewport, timezone_id=ZONE)
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
    """The number of a card, with a space where a line or the money's own space is."""
    number = page.locator(".card", has_text=name).locator(".number")
    return " ".join(number.inner_text().split())


def rows_of(page: Page, title: str) -> list[list[str]]:
    """The rows of a panel's table."""
    panel = page.locator("section", has=page.get_by_role("heading", name=title, exact=True))
    return [
        [" ".join(cell.split()) for cell in row.locator("td").all_inner_texts()]
        for row in panel.locator("tbody tr").all()
    ]


def assert_good(page: Page) -> None:
    """The page does not scroll sideways, and axe finds no violation."""
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide == 0
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def chart_of(page: Page, metric: str) -> Locator:
    return page.get_by_role("img", name=f"{metric} over time:")


def route_rows(page: Page, report: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Answer the page's questions for a report with these rows."""
    body = json.dumps({"rows": rows, "parameters": {}})
    page.route(f"**/api/v1/reports/{report}?*", lambda route: route.fulfill(body=body))


def readout(page: Page) -> list[str]:
    """The parts of the line above the chart."""
    return page.locator(".readout .swatch").all_inner_texts()


def test_a_shops_page_shows_what_the_reports_say(page: Page, shop: Shop) -> None:
    """Cards, chart, lists, funnel, and rejected events in words."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(page.get_by_role("heading", level=1)).to_have_text("La Colmena")
    [summary] = shop.report("summary", tenant="la-colmena")
    assert card(page, "Page views") == str(summary["view"]) == "30"
    assert card(page, "Visitors") == str(summary["visitors"])
    assert card(page, "Contacts") == "5"
    assert card(page, "Sales") == str(summary["transactions"]) == "2"
    assert card(page, "Revenue") == "L 560.00"
    rate = 2 / int(str(summary["visitors"]))
    assert card(page, "Conversion rate") == f"{rate:.0%}"
    assert page.get_by_text("More sales than visitors").is_visible() == (rate > 1)
    sources = [
        [row["source"].capitalize(), str(row["visitors"]), str(row["transactions"])]
        for row in shop.report("sources", tenant="la-colmena")
    ]
    assert rows_of(page, "Where from") == sources
    assert rows_of(page, "Products") == [["Miel de abeja", "30", "2", "L 560.00"]]
    steps = [str(row["visitors"]) for row in shop.report("funnel", tenant="la-colmena")]
    assert [row[1] for row in rows_of(page, "From visit to sale")] == steps
    done = [["Page view", "30"], ["WhatsApp", "5"]]
    assert rows_of(page, "What people did")[:2] == done
    quality = page.locator("section", has=page.get_by_role("heading", name="Was everything"))
    expect(quality).to_contain_text("1 event arrived again and was counted once.")
    expect(quality).to_contain_text("1 event was not accepted: the product does not exist.")
    expect(page.locator("#zone")).to_have_text("Days and hours are those of Tegucigalpa.")
    assert not re.search(r"\b(lake|tenant|version|slug)\b", page.inner_text("body").lower())
    assert_good(page)


def test_lists_show_what_the_reports_say(wide: Page, shop: Shop) -> None:
    """A campaign's visit from a phone: its channel, page, campaign, device and browser."""
    page = wide
    query = "utm_source=instagram&utm_medium=social&utm_campaign=rebajas"
    context = {"path": "/zapatos", "query": query, "referrer": "l.instagram.com"}
    shop.send(INTERACTIONS, PHONE, tenant_id=3, type="view", context=context)
    tools.eventually(
        lambda: shop.report("campaigns", tenant="3"), timeout_s=60, what="it is in the reports"
    )
    opened(page, f"{shop.url}/?shop=el-sol")
    for title, report, dimension, name in (
        ("Pages", "pages", "path", "/zapatos"),
        ("Campaigns", "campaigns", "utm_campaign", "rebajas \N{EN DASH} instagram / social"),
        ("How people came", "channels", "channel", "Social media"),
        ("Devices", "devices", "device", "Phone"),
    ):
        rows = {row[dimension]: row for row in shop.report(report, tenant="3")}
        shown = rows_of(page, title)
        assert len(shown) == len(rows)
        [numbers] = [cells[1:3] for cells in shown if cells[0] == name]
        [row] = [row for key, row in rows.items() if key is not None]
        assert numbers == [str(row["visitors"]), str(row["transactions"])], title
    csv = page.get_by_role("link", name="Pages as CSV").get_attribute("href") or ""
    assert parse_qs(urlsplit(csv).query)["limit"] == ["10000"]
    times = page.locator("section", has=page.get_by_role("heading", name="When people come"))
    times.get_by_text("Table", exact=True).click()
    expect(times.get_by_role("cell", name=re.compile(r"^\w+ \d\d:00$")).first).to_be_visible()
    page.get_by_role("link", name="rebajas. Show only rebajas").click()
    page.wait_for_url("**utm_campaign=rebajas")
    expect(page.locator(".chip")).to_contain_text("Campaign: rebajas")
    expect(page.locator(".quality")).to_contain_text("whatever the filters")
    expect(page.locator(".card", has_text="Page views").locator(".number")).to_have_text("1")


def test_new_events_change_the_page_and_nothing_else(wide: Page, shop: Shop) -> None:
    """Within seconds, without a reload; the card stays the same element, with its focus."""
    page = wide
    opened(page, f"{shop.url}/?shop=taller")
    expect(page.locator(".live")).to_contain_text("1 visitor in the last 30 min")
    before = int(card(page, "Contacts"))
    contacts = page.locator(".card", has_text="Contacts")
    contacts.focus()
    kept = contacts.element_handle()
    shop.send(INTERACTIONS, tenant_id=2, type="maps_click")
    expect(page.locator(".live")).to_contain_text("latest: Map")
    expect(contacts.locator(".number")).to_have_text(str(before + 1))
    assert page.evaluate("node => document.activeElement === node", kept)
    expect(page.get_by_role("link", name="Map. Show only Map")).to_be_visible()


def test_a_row_filters_the_page(page: Page, shop: Shop) -> None:
    """Filters are in the address, a chip removes one, and the back button works."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    page.get_by_role("link", name="WhatsApp. Show only WhatsApp").click()
    page.wait_for_url("**type=whatsapp_click")
    chip = page.get_by_role("link", name="Remove the filter Action: WhatsApp")
    expect(chip.first).to_be_visible()
    expect(page.locator(".card", has_text="Page views").locator(".number")).to_have_text("0")
    assert card(page, "Contacts") == "5"
    page.get_by_role("link", name="Miel").wait_for(state="detached")
    page.go_back()
    expect(page.locator(".card", has_text="Page views").locator(".number")).to_have_text("30")
    page.get_by_role("link", name="Miel de abeja. Show only").click()
    page.wait_for_url("**product=101")
    expect(page.locator(".chip")).to_contain_text("Product: Miel de abeja")
    page.reload()
    page.wait_for_selector("#view:not([aria-busy])")
    [summary] = shop.report("summary", tenant="la-colmena", product="101")
    assert card(page, "Page views") == str(summary["view"])
    expect(page.locator(".chip")).to_contain_text("Product: Miel de abeja")
    assert_good(page)
    page.locator(".chip").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?shop=la-colmena")
    expect(page.locator(".chip")).to_have_count(0)


def test_a_card_chooses_the_metric_of_the_chart(wide: Page, shop: Shop) -> None:
    """Visitors first; the choice is in the address."""
    page = wide
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(chart_of(page, "Visitors")).to_be_visible()
    page.locator(".card", has_text="Contacts").click()
    page.wait_for_url("**metric=contacts")
    expect(page.get_by_role("img", name="Contacts over time: 5")).to_be_visible()
    page.locator(".card", has_text="Revenue").click()
    expect(chart_of(page, "Revenue")).to_have_accessible_name(
        re.compile("Revenue over time: L.560.00")
    )
    page.locator(".trend").get_by_text("Table", exact=True).click()
    cells = page.locator(".trend tbody tr").last.locator("td").all_inner_texts()
    assert cells[1].split() == ["L", "560.00"]


def test_the_page_prints_on_one_sheet(page: Page, shop: Shop) -> None:
    """From a phone too, with the numbers and their period, without what only a screen can use."""
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    page.emulate_media(media="print")
    expect(page.get_by_role("combobox", name="Period")).to_be_hidden()
    today = datetime.now(ZoneInfo(ZONE))
    expect(page.locator(".compared")).to_contain_text(f"{today - timedelta(days=6):%b %-d} to ")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_shops_page_in_spanish(browser: Browser, shop: Shop, width: int) -> None:
    """By the language of the browser; another language is remembered."""
    viewport = ViewportSize(width=width, height=800)
    context = browser.new_context(locale="es-HN", viewport=viewport, timezone_id=ZONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?shop=la-colmena&metric=contacts")
    assert page.locator("html").get_attribute("lang") == "es"
    assert card(page, "Contactos") == "5"
    assert card(page, "Ingresos") == "L 560.00"
    expect(page.locator("#zone")).to_have_text("Los días y las horas son los de Tegucigalpa.")
    expect(page.get_by_text("1 evento no se aceptó: el producto no existe.")).to_be_visible()
    assert_good(page)
    page.get_by_role("link", name="English").click()
    page.wait_for_selector("#view:not([aria-busy])")
    assert card(page, "Contacts") == "5"
    expect(page.get_by_role("img", name="Contacts over time: 5")).to_be_visible()
    opened(page, f"{shop.url}/?shop=la-colmena")
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto(f"{shop.url}/signin")
    expect(page.get_by_label("Token")).to_be_visible()
    page.get_by_role("link", name="Español").click()
    expect(page.get_by_label("Clave de acceso")).to_be_visible()
    context.close()


def test_every_word_of_a_page_is_translated(browser: Browser, shop: Shop) -> None:
    """With marked texts in place of the language's, nothing but data is unmarked."""
    page = browser.new_page(locale="es-HN")
    page.set_default_timeout(PATIENCE_MS)
    texts = request(shop.url, "GET", "/assets/strings.es.js").body
    marked = re.sub(rb'("[a-z][\w.-]*": )"', rb'\1"' + "¤".encode(), texts)
    page.route(
        "**/assets/strings.es.js",
        lambda route: route.fulfill(body=marked, content_type="text/javascript"),
    )
    for path in ("/?shop=la-colmena&type=view", "/?shop=la-colmena", "/"):
        opened(page, shop.url + path)
        unmarked = page.evaluate(UNMARKED)
        assert [text for text in unmarked if not DATA.fullmatch(text)] == []
    page.close()


def test_all_shops_in_a_table_that_sorts(page: Page, shop: Shop) -> None:
    """Every choice is in the address, and the back button works."""
    opened(page, shop.url)
    names = page.locator("tbody th")
    assert names.all_inner_texts()[0] == "La Colmena"
    page.get_by_role("link", name="Shop", exact=True).click()
    page.wait_for_url("**sort=-tenant")
    expect(names.first).to_have_text("Taller")
    assert_good(page)
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


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page of 230 shops, each with an event."""
    folder = tmp_path_factory.mktemp("street")
    ids = range(1, 231)
    rows = [
        f"{id_},00000000-0000-0000-0000-{id_:012},shop-{id_:03},Shop {id_:03},active" for id_ in ids
    ]
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


def test_many_shops_come_a_hundred_at_a_time(wide: Page, street: str) -> None:
    """Each shown shop has a line over time, and the finder finds the others by name."""
    page = wide
    opened(page, f"{street}/?sort=tenant")
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


def test_a_period_of_ones_own(page: Page, shop: Shop) -> None:
    """A period in the address; without events the page says what to do."""
    opened(page, f"{shop.url}/?shop=la-colmena&from=2020-01-01&to=2020-01-02")
    expect(page.locator("#view")).to_contain_text("No events in this period.")
    expect(page.locator("pre")).to_contain_text("beacon.js")
    assert page.get_by_label("From", exact=True).input_value() == "2020-01-01"
    assert_good(page)


def axis(page: Page, kind: str) -> list[str]:
    """The labels of an axis of the chart over time, in order."""
    return page.locator(f"svg.lines text.{kind}").all_text_contents()


def test_an_axis_spans_the_period(wide: Page, shop: Shop) -> None:
    """Seven days of which one has events; the hours of a day that is not over."""
    page = wide
    opened(page, f"{shop.url}/?shop=la-colmena&metric=views&compare=no")
    chart = chart_of(page, "Page views")
    today = datetime.now(ZoneInfo(ZONE))
    expect(chart.locator("circle")).to_have_count(7)
    days = [f"{today - timedelta(days=ago):%b %-d}" for ago in reversed(range(7))]
    assert axis(page, "x") == days
    chart.focus()
    chart.press("Home")
    readings = [readout(page)]
    for _ in range(6):
        chart.press("ArrowRight")
        readings.append(readout(page))
    assert readings == [[f"{day}: 0"] for day in days[:-1]] + [[f"{days[-1]}: 30"]]
    page.get_by_role("combobox", name="Period").select_option("today")
    page.wait_for_url("**period=today**")
    # In the seventh hour the chart has as many dots as before.
    tools.eventually(
        lambda: axis(page, "x")[:1] == ["00:00"], timeout_s=60, what="the axis has the hours"
    )
    hours = int(f"{datetime.now(ZoneInfo(ZONE)):%H}") + 1
    expect(chart.locator("circle")).to_have_count(hours)
    # A line beside a shop's name spans the same hours.
    opened(page, f"{shop.url}/?period=today&sort=tenant")
    path = page.locator("td.spark path").first.get_attribute("d") or ""
    places = [float(x) for x in re.findall(r"[ML]\s*([0-9.]+)", path)]
    assert len(places) == hours
    assert places[-1] == pytest.approx(100 * (hours - 1) / 23, abs=0.1)


def test_a_chart_is_read_by_pointer_and_by_keys(page: Page, shop: Shop) -> None:
    """The line above shows the value of the bucket that is pointed at, otherwise the total."""
    opened(page, f"{shop.url}/?shop=la-colmena&metric=views&compare=no")
    page.locator(".live strong").wait_for()  # moves the chart when it comes
    chart = chart_of(page, "Page views")
    assert readout(page) == ["This period: 30"]
    box = chart.bounding_box()
    assert box
    chart.hover(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    assert readout(page)[0].endswith(": 0")
    expect(chart.locator(".guide")).to_have_attribute("visibility", "visible")
    chart.hover(position={"x": box["width"] - 1, "y": box["height"] / 2})
    assert readout(page) == [f"{datetime.now(ZoneInfo(ZONE)):%b %-d}: 30"]
    page.mouse.move(0, 0)
    assert readout(page) == ["This period: 30"]
    expect(chart.locator(".guide")).to_have_attribute("visibility", "hidden")
    chart.focus()
    chart.press("ArrowLeft")
    assert readout(page)[0].endswith(": 30")
    chart.press("ArrowLeft")
    assert readout(page)[0].endswith(": 0")
    chart.press("Escape")
    assert readout(page) == ["This period: 30"]


def test_a_tapped_value_stays(browser: Browser, shop: Shop) -> None:
    """A finger that is lifted leaves the chart, but not its value."""
    context = browser.new_context(has_touch=True, timezone_id=ZONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?shop=la-colmena&metric=views&compare=no")
    page.locator(".live strong").wait_for()  # moves the chart when it comes
    chart = chart_of(page, "Page views")
    box = chart.bounding_box()
    assert box
    chart.tap(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    expect(page.locator(".readout .swatch")).to_have_text(re.compile(r": 0$"))
    expect(chart.locator(".guide")).to_have_attribute("visibility", "visible")
    context.close()


def test_a_list_names_what_it_leaves_out(wide: Page, shop: Shop) -> None:
    """Rows beyond those that are shown, and amounts in other currencies."""
    page = wide
    amount = {"currency": "HNL", "value": 10, "other_value": "5.0000 EUR, 1.5000 USD"}
    campaign = {"utm_campaign": "rebajas", "utm_medium": None, "visitors": 1, "transactions": 3}
    rows = [{**campaign, **amount, "utm_source": f"site-{number}"} for number in range(8)]
    route_rows(page, "campaigns", rows)
    opened(page, f"{shop.url}/?shop=la-colmena")
    shown = rows_of(page, "Campaigns")
    assert len(shown) == 7
    assert shown[0] == ["rebajas \N{EN DASH} site-0", "1", "3", "L 10.00 €5.00 $1.50"]
    panel = page.locator("section", has=page.get_by_role("heading", name="Campaigns"))
    expect(panel).to_contain_text("The rest is in the CSV.")


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


def test_axes_count_in_whole_numbers(wide: Page, shop: Shop) -> None:
    """An axis of events has no halves."""
    page = wide
    shop.send(INTERACTIONS, tenant_id=3, type="view")
    tools.eventually(
        lambda: shop.report("summary", tenant="3"), timeout_s=60, what="it is in the reports"
    )
    opened(page, f"{shop.url}/?shop=el-sol&metric=views")
    chart_of(page, "Page views").wait_for()
    assert all(label.isdigit() for label in axis(page, "y"))


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


@pytest.mark.parametrize("name", ["dos-dias", "4"])
def test_an_empty_shops_line_names_it(wide: Page, shop: Shop, name: str) -> None:
    """The line has the shop's id and slug, whichever of them is in the address."""
    page = wide
    opened(page, f"{shop.url}/?shop={name}&from=2020-01-01&to=2020-01-02")
    expect(page.locator("pre")).to_contain_text('data-tenant="4" data-slug="dos-dias"></script>')
    expect(page.get_by_role("heading", level=1)).to_have_text("Dos Días")


def test_an_id_is_no_slug(wide: Page, shop: Shop) -> None:
    """The line of a shop that the directory lacks has its id alone."""
    page = wide
    opened(page, f"{shop.url}/?shop=99")
    expect(page.locator("pre")).to_contain_text('data-tenant="99"></script>')


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=2026-02-31&to=2026-03-01", "has a date that does not exist"),
        ("shop=taller&from=yesterday", "has a date that does not exist"),
        ("from=2026-03-02&to=2026-03-01", "ends before it begins"),
    ],
)
def test_a_wrong_date_in_the_address_is_reported(
    wide: Page, shop: Shop, query: str, message: str
) -> None:
    """With a message and a button that leads to a valid period."""
    page = wide
    opened(page, f"{shop.url}/?{query}")
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


def test_every_number_compares_with_the_same_span(wide: Page, two_days: Shop) -> None:
    """Today is compared with the same hours of yesterday, and the page says so."""
    page = wide
    opened(page, f"{two_days.url}/?shop=dos-dias&period=today")
    changes = {
        name: page.locator(".card", has_text=name).locator(".change").inner_text()
        for name in ("Sales", "Revenue")
    }
    assert changes == {"Sales": "0%", "Revenue": "▲ +100%"}
    wanted = re.compile(r"^\w+ \d+\. Compared with yesterday until \d\d:\d\d\.$")
    expect(page.locator(".compared")).to_have_text(wanted)
    assert_good(page)
    page.get_by_role("checkbox", name="Compare").uncheck()
    page.wait_for_url("**compare=no")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".change")).to_have_count(0)
    expect(page.locator(".compared")).to_have_text(re.compile(r"^\w+ \d+\.$"))


def test_the_list_of_shops_names_its_comparison(wide: Page, two_days: Shop) -> None:
    """A day that is over is compared with the whole day before."""
    page = wide
    day = datetime.now(ZoneInfo(ZONE)) - timedelta(days=1)
    before = day - timedelta(days=1)
    opened(page, f"{two_days.url}/?from={day:%Y-%m-%d}&to={day:%Y-%m-%d}")
    note = page.locator(".note").first
    expect(note).to_contain_text(f"compared with {before:%b %-d}")
    expect(note).not_to_contain_text("until")
    opened(page, f"{two_days.url}/?period=today")
    expect(note).to_contain_text("compared with yesterday until ")


def test_a_failure_is_shown_and_can_be_tried_again(browser: Browser, shop: Shop) -> None:
    """With a reason and a button."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route(
        "**/api/v1/reports/**",
        lambda route: route.fulfill(status=503, body='{"message": "Too many reports are waiting"}'),
    )
    opened(page, f"{shop.url}/?shop=la-colmena")
    expect(page.get_by_role("alert")).to_contain_text("Too many questions are waiting")
    page.unroute("**/api/v1/reports/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()
    page.close()


def test_a_page_recovers_by_itself(browser: Browser, shop: Shop) -> None:
    """A first load that failed: with the next event the numbers come, and the message goes."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wanted = re.compile(r"/api/v1/reports/(?!recent|shops)")
    page.route(wanted, lambda route: route.fulfill(status=503, body="{}"))
    opened(page, f"{shop.url}/?shop=taller")
    expect(page.get_by_role("alert")).to_contain_text("Too many questions are waiting")
    expect(page.locator(".card")).to_have_count(0)
    page.unroute(wanted)

    def is_recovered() -> bool:
        shop.send(INTERACTIONS, tenant_id=2, type="view")
        return page.locator(".card").count() > 0

    tools.eventually(is_recovered, timeout_s=60, what="the numbers are there")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Madrid"])
def test_every_day_has_its_label_when_the_clocks_change(wide: Page, shop: Shop, zone: str) -> None:
    """Also after a day of 25 hours, and of 23."""
    wide.goto(f"{shop.url}/?shop=taller")
    spans = {
        first: (datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).timestamp(), days)
        for first, days in (("2026-11-01", 30), ("2026-10-20", 12), ("2026-03-01", 31))
    }
    for first, (since, days) in spans.items():
        shown = wide.evaluate(
            """async ([zone, from, days, since]) => {
              const { bucketsOf, dateOf } = await import("/assets/period.js");
              const { start } = bucketsOf({ from, days }, "day", since, since + days * 86400000);
              return Array.from({ length: days }, (_, index) => dateOf(start(index), zone));
            }""",
            [zone, first, days, since * 1000],
        )
        begin = date.fromisoformat(first)
        assert shown == [str(begin + timedelta(days=number)) for number in range(days)]


@pytest.mark.parametrize("count", [1, 2, 1_000_000])
def test_a_round_million_has_a_text(wide: Page, shop: Shop, count: int) -> None:
    """Spanish has a plural of its own for it."""
    wide.goto(f"{shop.url}/?shop=taller")
    text = wide.evaluate(
        """async (count) => {
          const { Speech } = await import("/assets/speech.js");
          const say = await Speech.of("es", { currency: "HNL", zone: "UTC" });
          return say.text("quality.accepted", { count });
        }""",
        count,
    )
    assert text.startswith("Se ")


def test_a_page_that_was_left_ends_its_requests(browser: Browser, shop: Shop) -> None:
    """A report that is still awaited is neither drawn nor a failure."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.route("**/api/v1/reports/summary?tenant=1&**", lambda route: None)
    with page.expect_request(lambda sent: "summary?tenant=1&" in sent.url):
        page.goto(f"{shop.url}/?shop=la-colmena")
    with page.expect_event("requestfailed", lambda sent: "summary?tenant=1&" in sent.url):
        page.get_by_role("link", name="All shops").click()
    expect(page.get_by_role("link", name="La Colmena")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_the_page_is_there_at_once(browser: Browser, shop: Shop) -> None:
    """The page is small, and a browser revalidates its files without receiving them again."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    opened(page, f"{shop.url}/?shop=la-colmena")
    loaded = page.evaluate(
        "performance.getEntries().map((file) => [file.name, file.decodedBodySize ?? 0])"
    )
    sizes = {name: size for name, size in loaded if size and "/api/" not in name}
    assert {"app.js", "app.css", "strings.en.js"} <= {name.rpartition("/")[2] for name in sizes}
    assert sum(sizes.values()) < 120 << 10
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
