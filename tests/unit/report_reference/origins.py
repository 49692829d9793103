"""The reports of where visitors came from and of the pages they saw, by visit."""

from __future__ import annotations

from collections.abc import Callable

from report_reference.choosing import grouped, in_period, nulls_last, visitors
from report_reference.question import Question, Record, Row, Shops
from report_reference.sales import earnings
from report_reference.values import DIMENSIONS, is_sale, order_of, source_of
from report_reference.visits import traffic, visits


def sources(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    rows = [
        {
            "source": source,
            "visitors": visitors(chosen),
            "events": len(chosen),
            "transactions": sum(map(is_sale, chosen)),
        }
        for source, chosen in grouped(in_period(events, asked), source_of).items()
    ]
    ordered = sorted(rows, key=lambda row: (-row["visitors"], -row["events"], row["source"]))
    return ordered[: asked.limit]


def by_dimension(name: str) -> Callable[[list[Record], Question, Shops], list[Row]]:
    def report(events: list[Record], asked: Question, _: Shops) -> list[Row]:
        of_event = visits(events, asked)
        rows = [
            {name: value, **traffic(chosen, of_event)}
            for value, chosen in grouped(in_period(events, asked), DIMENSIONS[name]).items()
        ]
        rows.sort(key=lambda row: (-row["visitors"], -row["events"], *nulls_last(row[name])))
        return rows[: asked.limit] if name in ("browser", "country") else rows

    return report


def campaigns(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    of_event = visits(events, asked)
    names = ("utm_source", "utm_medium", "utm_campaign")
    rows = []
    for key, chosen in grouped(
        in_period(events, asked), lambda one: tuple(DIMENSIONS[name](one) for name in names)
    ).items():
        if any(key):
            row = dict(zip(names, key, strict=True)) | traffic(chosen, of_event)
            main, value, others = earnings(list(filter(is_sale, chosen)))
            rows.append(row | {"value": value, "currency": main, "other_value": others})
    rows.sort(
        key=lambda row: (
            -row["visitors"],
            -row["events"],
            *(nulls_last(row[name]) for name in names),
        )
    )
    return rows[: asked.limit]


def pages(events: list[Record], asked: Question, _: Shops) -> list[Row]:
    of_event = visits(events, asked)
    by_visit = grouped(
        (one for one in events if id(one) in of_event), lambda one: of_event[id(one)]
    )
    rows = []
    path = DIMENSIONS["path"]
    for page, chosen in grouped(in_period(events, asked), path).items():
        if page is None:
            continue
        walked = [
            sorted(by_visit[number], key=order_of)
            for number in {of_event[id(one)] for one in chosen if id(one) in of_event}
        ]
        shown = [[path(one) for one in visit if path(one)] for visit in walked]
        seen = traffic(chosen, of_event)
        rows.append(
            {
                "path": page,
                "visitors": seen["visitors"],
                "visits": seen["visits"],
                "views": sum(one["type"] == "view" for one in chosen),
                "entries": sum(paths[0] == page for paths in shown),
                "exits": sum(paths[-1] == page for paths in shown),
                "bounces": sum(len(visit) == 1 and visit[0]["type"] == "view" for visit in walked),
                "events": seen["events"],
                "transactions": seen["transactions"],
            }
        )
    rows.sort(
        key=lambda row: (*(-row[name] for name in ("visitors", "views", "events")), row["path"])
    )
    return rows[: asked.limit]
