"""A day of a real multi-category shop (REES46's public event data) as traffic for beaconlog.

The mapping, row by row:

- The first part of a category code, or "other", is a shop; shops are numbered from 1 by name. A
  product belongs to the shop of its category and is named by brand and category.
- A view is an interaction, a cart a tracked `cart_add`, a purchase a conversion in USD.
- Every row of a view is a view: a view carries no id, so two rows alike are two of them.
- A cart carries an event id made from the whole row: a row that is there twice is one event.
- A purchase has no order id: session and product are its transaction, which counts once.
- A user's id, read as an IPv4 address, is the address he comes from; all have one browser.
- `day` moves a day's events so many days on, as other events of the same users.

    python tests/system/rees46.py EVENTS.csv FOLDER [DAYS]

writes tenants.csv, products.csv and requests.ndjson for `beaconlog directory import` and
`beaconlog replay`; the service must run with trusted_proxies = 127.0.0.1 and a large
occurred_past_max_days.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid5

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_EVENTS = UUID("6f0a3f3b-2d5f-4a53-9d1e-0c1f6f8f5a46")
_SHOPS = UUID("d3b54c0e-0f9c-4b8a-8f6d-46a9d1f0c3e2")

Body = dict[str, Any]


class Row(NamedTuple):
    """A row of the file, in its own names."""

    event_time: str
    event_type: str
    product_id: str
    category_id: str
    category_code: str
    brand: str
    price: str
    user_id: str
    user_session: str

    @property
    def shop(self) -> str:
        return self.category_code.partition(".")[0] or "other"


class Request(NamedTuple):
    """A request; `key` is the same for requests whose events count as one."""

    key: str
    path: str
    headers: dict[str, str]
    body: Body

    def line(self) -> str:
        """The request as a line of a replay file."""
        return json.dumps({"path": self.path, "headers": self.headers, "body": self.body}) + "\n"


def read(path: Path) -> list[Row]:
    """The file's rows, in its order."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        return [Row(*cells) for cells in reader]


def write_directory(rows: Iterable[Row], folder: Path) -> tuple[Path, Path]:
    """Write tenants.csv and products.csv; their paths."""
    rows = list(rows)
    tenants, products = folder / "tenants.csv", folder / "products.csv"
    ids = shop_ids(rows)
    _write_csv(
        tenants,
        ("id", "uuid", "slug", "name", "status"),
        [(id_, uuid5(_SHOPS, shop), shop, shop.title(), "active") for shop, id_ in ids.items()],
    )
    sold = {row.product_id: row for row in rows}
    _write_csv(
        products,
        ("id", "tenant_id", "name", "price"),
        [(id_, ids[row.shop], _product_name(row), row.price) for id_, row in sold.items()],
    )
    return tenants, products


def requests(rows: Iterable[Row], *, day: int = 0) -> Iterator[Request]:
    """The requests of the rows, in their order."""
    rows = list(rows)
    ids = shop_ids(rows)
    return (
        _request(row, ids[row.shop], day, number=number) for number, row in enumerate(rows, start=1)
    )


def shop_ids(rows: Iterable[Row]) -> dict[str, int]:
    """Shop -> tenant id."""
    return {shop: id_ for id_, shop in enumerate(sorted({row.shop for row in rows}), start=1)}


def _request(row: Row, tenant_id: int, day: int, *, number: int) -> Request:
    headers = {
        "X-Forwarded-For": str(IPv4Address(int(row.user_id))),
        "User-Agent": BROWSER,
        "Origin": "https://shop.example",
    }
    when = datetime.fromisoformat(row.event_time.replace(" UTC", "+00:00")) + timedelta(days=day)
    common: Body = {"product_id": int(row.product_id), "timestamp": when.isoformat()}
    if row.event_type == "purchase":
        key = f"{row.user_session}+{day}/{row.product_id}"
        return Request(key, "/api/v1/analytics/conversion", headers, common | _sale(row, key))
    if row.event_type == "cart":
        key = str(uuid5(_EVENTS, f"{day}|{'|'.join(row)}"))
        cart = {"tenant_id": tenant_id, "type": "cart_add", "event_id": key}
        return Request(key, "/api/v1/analytics/track", headers, common | cart)
    view = {"tenant_id": tenant_id, "type": "view"}
    return Request(f"{day}/{number}", "/api/v1/interactions", headers, common | view)


def _sale(row: Row, transaction_id: str) -> Body:
    return {
        "tenant_slug": row.shop,
        "transaction_id": transaction_id,
        "value": row.price,
        "currency": "USD",
    }


def _product_name(row: Row) -> str:
    return f"{row.brand or 'no brand'}, {row.category_code or 'other'}"


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """The script: EVENTS.csv FOLDER [DAYS]."""
    source, folder, *days = sys.argv[1:]
    rows = read(Path(source))
    written = [*write_directory(rows, Path(folder)), Path(folder) / "requests.ndjson"]
    with written[-1].open("w", encoding="utf-8") as file:
        for day in range(int(days[0]) if days else 1):
            file.writelines(request.line() for request in requests(rows, day=day))
    print(*written, sep="\n")


if __name__ == "__main__":
    main()
