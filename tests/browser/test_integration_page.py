"""The page of docs/integration.md, as it is there, in a real Chromium."""

from __future__ import annotations

from doc_examples import blocks
from shop import Visit, delivered


def example(visit: Visit, place: int) -> str:
    """A block of the section, for this collector and this tenant."""
    code = blocks("A page")[place][1]
    changes = {
        "https://stats.example": visit.service.url,
        '"42"': f'"{visit.tenant}"',
        "tenant_id: 42": f"tenant_id: {visit.tenant}",
        "la-colmena": f"shop-{visit.tenant}",
        "101": str(visit.product),
    }
    for old, new in changes.items():
        code = code.replace(old, new)
    return code


def test_every_example_of_the_section_is_run() -> None:
    """Here."""
    assert [language for language, _ in blocks("A page")] == ["html", "js", "js"]


def test_its_page_counts_what_it_says(visit: Visit) -> None:
    """The view, the clicks, the cart, and what its script sends."""
    visit.context.route("https://wa.me/**", lambda route: route.fulfill(body="chat"))
    page = visit.page()
    page.goto(visit.shop.serve("/example", example(visit, 0)))
    page.click("button")
    page.evaluate(example(visit, 1))
    # The tracker hears of a click before the page does. Here nothing may open a telephone.
    page.eval_on_selector("[href^=tel]", "link => { link.onclick = () => false; link.click() }")
    delivered(visit, page)
    page.click("[href*='wa.me']")
    page.wait_for_url("https://wa.me/**")
    kinds = ("view", "cart_add", "social_share", "purchase", "call_click", "whatsapp_click")
    rows = {row["type"]: row for row in visit.counted(*kinds)}
    assert rows["view"]["product_id"] == rows["cart_add"]["product_id"] == visit.product
    ref = rows["whatsapp_click"]["event_id"][-10:]
    assert page.url == f"https://wa.me/50499990000?text=Hola%20(Ref:%20%23{ref})"


def test_a_page_without_the_script_counts_too(visit: Visit) -> None:
    """With sendBeacon."""
    page = visit.page()
    page.goto(visit.shop.serve("/own", "<p>no tracker</p>"))
    page.evaluate(example(visit, 2))
    visit.counted("view")
