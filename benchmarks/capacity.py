"""Capacity: the cost of each part, and the machines and money that a rate of events needs.

It measures the costs (`benchmarks.capacity_costs`, `benchmarks.capacity_storage`), puts them into
the arithmetic of `benchmarks.capacity_plan`, and compares that with runs of the whole service
(`benchmarks.capacity_check`). Prices and machines are yours: see `--help`. A whole run writes its
tables into docs/scaling.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks import (
    capacity_check,
    capacity_costs,
    capacity_plan,
    capacity_storage,
    card,
    readme,
    size,
    wrk,
)
from benchmarks.capacity_check import Run
from benchmarks.capacity_plan import Costs, Operator, Plan, StorageRequests
from benchmarks.rounds import markdown, tell
from benchmarks.size import Size

RATES = (1_000, 50_000, 1_000_000)
BEGIN, END = "<!-- figures, from python -m benchmarks.capacity -->\n", "<!-- end of figures -->\n"
_PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
_COSTS = {
    "single_cpu_us": ("collector, one event per request, 500 browsers", "CPU µs", 1),
    "batched_cpu_us": ("collector, batches of 500", "CPU µs", 1),
    "single_request_bytes": ("request of a browser with one event", "bytes", 0),
    "batched_request_bytes": ("request, batches of 500", "bytes", 0),
    "log_bytes": ("log", "bytes", 0),
    "parquet_bytes": ("Parquet", "bytes", 1),
    "key_bytes": ("key file", "bytes", 1),
    "compaction_cpu_us": ("compaction", "CPU µs", 2),
    "key_search_cpu_ns": ("compaction, per key file that it searches", "CPU ns", 0),
    "pass_cpu_ms": ("a pass of a compaction with its commits, without its events", "CPU ms", 0),
    "read_ahead_cpu_us": ("warehouse, parsing the tail for reports", "CPU µs", 2),
    "merge_cpu_us": ("maintenance, merging small files", "CPU µs", 2),
    "report_ms": ("report `summary` of all shops, 2 cores, per million events", "ms", 0),
}


def main() -> None:
    """Measure and print; write the page, if the run is whole."""
    size.clean_up_on_sigterm()
    parser = size.parser(__doc__)
    for field in fields(Operator):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=type(field.default), default=field.default)
    asked = parser.parse_args()
    chosen = size.chosen(asked)
    operator = Operator(**{field.name: getattr(asked, field.name) for field in fields(Operator)})
    if needs := wrk.NEEDS or capacity_storage.NEEDS:
        sys.exit(needs)
    text = report(chosen, operator)
    print(text)
    if chosen.is_whole and operator == Operator():
        write(text)
    else:
        tell("A smaller run, or other prices: docs/scaling.md is left as it was.")


def report(chosen: Size, operator: Operator) -> str:
    """Measure, and return the tables."""
    load, _, _ = card.load().partition(" **")  # its warning is for rates; costs are too high then
    machine = f"{card.machine()}. {card.software()}. {load}\n"
    costs = capacity_costs.measure(chosen)
    tell(costs_table(costs))
    requests = capacity_storage.measure(chosen)
    runs = capacity_check.measure(chosen, costs)
    tables = (
        costs_table(costs),
        requests_table(requests),
        limits_table(costs, operator),
        plans_table(costs, requests, operator),
        check_tables(runs),
    )
    return "\n".join([machine, *tables])


def write(text: str, page: Path = _PAGE) -> None:
    """Write the tables into the page, between its comments. Raises MarkersMissing."""
    readme.replace(page, BEGIN, END, text)


def costs_table(costs: Costs) -> str:
    """Return the table of costs per event."""
    rows = [
        (title, f"{getattr(costs, name):,.{digits}f}", unit)
        for name, (title, unit, digits) in _COSTS.items()
    ]
    return "### Costs per event\n\n" + markdown(("", "measured", "unit"), rows)


def requests_table(requests: StorageRequests) -> str:
    """Return the table of requests to object storage per day."""
    rows = [
        ("PUT, per worker", f"{requests.puts:,.0f}"),
        ("GET and HEAD, per worker, with those of the warehouse", f"{requests.gets:,.0f}"),
        ("LIST, per worker", f"{requests.lists:,.0f}"),
        ("PUT, of a warehouse", f"{requests.warehouse_puts:,.0f}"),
        ("LIST, of a warehouse, per 1,000 objects", f"{requests.warehouse_lists:,.0f}"),
        ("objects of one worker in the bucket", f"{requests.objects:,.0f}"),
    ]
    return "### Requests to object storage per day\n\n" + markdown(("", "measured"), rows)


def limits_table(costs: Costs, operator: Operator) -> str:
    """Return the table of what one of each part can do."""
    busy = operator.busy_share
    rows = [
        ("a worker, one event per request", f"{busy * 1e6 / costs.single_cpu_us:,.0f} events/s"),
        ("a worker, batches of 500", f"{busy * 1e6 / costs.batched_cpu_us:,.0f} events/s"),
        ("a compactor", f"{capacity_plan.compactor_limit(costs, busy):,.0f} events/s"),
        (
            "a report of all shops within 30 s, 2 cores",
            f"{capacity_plan.report_limit(costs) / 1e6:,.0f} M events",
        ),
    ]
    title = f"### Limits of one, {busy:.0%} busy\n\n"
    return title + markdown(("", "limit"), rows)


def plans_table(costs: Costs, requests: StorageRequests, operator: Operator) -> str:
    """Return the table of the needs at each rate."""
    plans = [capacity_plan.plan(rate, costs, requests, operator) for rate in RATES]
    rows = [(name, *(text(plan) for plan in plans)) for name, text in _ROWS.items()]
    kinds = list(plans[0].prices)
    rows += [
        (f"{kind}, per month", *(f"{plan.prices[kind]:,.0f}" for plan in plans)) for kind in kinds
    ]
    rows.append(("together, per month", *(f"{plan.price:,.0f}" for plan in plans)))
    intro = (
        f"{operator.batched_share:.0%} in batches, cores {operator.busy_share:.0%} busy, machines "
        f"of {operator.machine_cores} cores, {operator.retention_days} days kept. Example prices: "
        f"{operator.core_hour} per core and hour, {operator.gb_month} per GB and month, "
        f"{operator.thousand_puts} per 1,000 PUT or LIST, {operator.thousand_gets} per 1,000 GET "
        "or HEAD.\n\n"
    )
    heads = ("", *(f"{rate:,} events/s" for rate in RATES))
    return f"### Needs\n\n{intro}" + markdown(heads, rows)


def check_tables(runs: Sequence[Run]) -> str:
    """Return the tables of runs of the whole beside the plan."""
    return "### Checked\n\n" + "\n".join(map(_check_table, runs))


def _check_table(run: Run) -> str:
    rows = [
        (each.name, f"{each.planned:,.1f}", f"{each.measured:,.1f}", f"{each.ratio:.2f}")
        for each in run.compared
    ]
    intro = f"{run.events:,} events {run.title}, at {run.events_per_s:,.0f} events/s.\n\n"
    return intro + markdown(("", "planned", "measured", "ratio"), rows)


_ROWS: Mapping[str, Callable[[Plan], str]] = {
    "workers": lambda plan: f"{plan.workers:,}",
    "lakes, each with one compactor": lambda plan: f"{plan.lakes:,}",
    "cores that compactors use": lambda plan: f"{plan.compactor_cores:,.1f}",
    "cores that compactions of one lake would use": lambda plan: f"{plan.one_lake_cores:,.1f}",
    "machines": lambda plan: f"{plan.machines:,}",
    "requests in, Mbit/s": lambda plan: f"{plan.in_mbit_per_s:,.0f}",
    "log, GB per day": lambda plan: f"{plan.log_gb_per_day:,.0f}",
    "lake, GB per day": lambda plan: f"{plan.lake_gb_per_day:,.0f}",
    "key files of 24 hours, GB": lambda plan: f"{plan.key_gb:,.1f}",
    "PUT and LIST, thousands per day": lambda plan: f"{plan.puts_per_day / 1e3:,.0f}",
    "GET and HEAD, thousands per day": lambda plan: f"{plan.gets_per_day / 1e3:,.0f}",
    "`summary` of all shops over a day, s": lambda plan: f"{plan.report_s:,.0f}",
}


if __name__ == "__main__":
    main()
