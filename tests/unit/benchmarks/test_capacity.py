"""The arithmetic of capacity, by costs that can be checked by hand, and the page that shows it."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import capacity, capacity_plan
from benchmarks.capacity_check import Compared, Run
from benchmarks.capacity_plan import Costs, Operator, StorageRequests

COSTS = Costs(
    single_cpu_us=100.0,
    batched_cpu_us=20.0,
    single_request_bytes=1_000.0,
    batched_request_bytes=250.0,
    log_bytes=400.0,
    parquet_bytes=32.0,
    key_bytes=8.0,
    compaction_cpu_us=4.0,
    key_search_cpu_ns=0.0,
    pass_cpu_ms=0.0,
    read_ahead_cpu_us=0.25,
    merge_cpu_us=0.75,
    report_ms=50.0,
)
REQUESTS = StorageRequests(
    puts=130_000,
    gets=130_000,
    lists=3_000,
    warehouse_puts=7_000,
    warehouse_lists=50_000,
    objects=450,
)
OPERATOR = Operator(
    batched_share=0.0,
    busy_share=0.5,
    machine_cores=4,
    retention_days=10,
    core_hour=0.1,
    gb_month=0.02,
    thousand_puts=0.01,
    thousand_gets=0.001,
)


def test_workers_and_machines_are_whole_and_have_room_for_peaks() -> None:
    """10,000 events/s of 100 µs are one core, so two workers that are half busy."""
    planned = capacity_plan.plan(10_000, COSTS, REQUESTS, OPERATOR)
    assert planned.workers == 2
    assert planned.lakes == 1
    assert planned.machines == 1  # two workers and the two threads of a compactor
    assert capacity_plan.plan(10_001, COSTS, REQUESTS, OPERATOR).workers == 3


@pytest.mark.parametrize(("batched_share", "workers"), [(0.0, 20), (0.5, 12), (1.0, 4)])
def test_batches_need_fewer_workers(batched_share: float, workers: int) -> None:
    """By the share of the events that come in them."""
    operator = replace(OPERATOR, batched_share=batched_share)
    assert capacity_plan.plan(100_000, COSTS, REQUESTS, operator).workers == workers


def test_bytes_follow_the_rate() -> None:
    """A day of 1,000 events/s has 86.4 million of them."""
    planned = capacity_plan.plan(1_000, COSTS, REQUESTS, OPERATOR)
    assert planned.in_mbit_per_s == pytest.approx(8.0)
    assert planned.log_gb_per_day == pytest.approx(34.56)
    assert planned.lake_gb_per_day == pytest.approx(3.456)
    assert planned.key_gb == pytest.approx(0.6912)
    assert planned.report_s == pytest.approx(4.32)


def test_prices_are_the_operators() -> None:
    """Per month: machines by the core hour, ten days of the lake, and requests by the thousand."""
    planned = capacity_plan.plan(1_000, COSTS, REQUESTS, OPERATOR)
    assert planned.workers == 1
    assert planned.prices == {
        "machines": pytest.approx(4 * 720 * 0.1),
        "storage": pytest.approx(34.56 * 0.02),
        "PUT and LIST": pytest.approx((130 + 3 + 7 + 50) * 30 * 0.01),
        "GET and HEAD": pytest.approx(130 * 30 * 0.001),
    }
    assert planned.price == pytest.approx(sum(planned.prices.values()))


def test_a_listing_takes_a_request_per_thousand_objects() -> None:
    """Five workers have 2,250 objects in the bucket, so each LIST of the warehouse is three."""
    planned = capacity_plan.plan(25_000, COSTS, REQUESTS, OPERATOR)
    assert planned.workers == 5
    assert planned.puts_per_day == 5 * 133_000 + 7_000 + 3 * 50_000


def test_one_compactor_has_a_limit_and_then_shops_are_shared_between_lakes() -> None:
    """Two cores that are half busy are 1,000,000 µs per second, and 5 µs per event."""
    assert capacity_plan.compactor_limit(COSTS, 0.5) == pytest.approx(200_000)
    assert capacity_plan.plan(199_999, COSTS, REQUESTS, OPERATOR).lakes == 1
    planned = capacity_plan.plan(999_999, COSTS, REQUESTS, OPERATOR)
    assert planned.lakes == 5
    assert planned.compactor_cores == pytest.approx(5.0, rel=1e-5)


def test_the_keys_of_a_day_lower_the_limit_of_a_compactor() -> None:
    """Each event is searched in every key file of 24 hours, and a day has as many as events."""
    costs = replace(COSTS, key_search_cpu_ns=50.0)
    limit = capacity_plan.compactor_limit(costs, 0.5)
    files = capacity_plan.key_files(limit, costs)
    assert limit * (5 + files * 0.05) == pytest.approx(1e6)
    assert limit < 40_000
    planned = capacity_plan.plan(4 * limit, costs, REQUESTS, OPERATOR)
    assert planned.one_lake_cores > 2 * planned.compactor_cores


def test_a_pass_costs_something_even_if_it_has_no_event() -> None:
    """One per minute at a low rate, and one per compact_bytes_max at a high one."""
    costs = replace(COSTS, pass_cpu_ms=300.0)
    assert capacity_plan.compactor_cores(0, costs) == pytest.approx(0.005)
    quick = 2 * capacity_plan.PASS_BYTES_MAX / COSTS.log_bytes
    alone = capacity_plan.compactor_cores(quick, COSTS)
    assert capacity_plan.compactor_cores(quick, costs) == pytest.approx(alone + 0.6)


def test_small_key_files_are_those_of_half_an_hour() -> None:
    """One per compaction, and more once a compaction takes several passes."""
    assert capacity_plan.passes_per_s(1, COSTS) == 1 / 60
    assert capacity_plan.key_files(0, COSTS) == 30
    quick = 2 * capacity_plan.PASS_BYTES_MAX / COSTS.log_bytes
    assert capacity_plan.passes_per_s(quick, COSTS) == pytest.approx(2)


def test_the_page_is_written_between_its_comments(tmp_path: Path) -> None:
    """And is the same when it is written twice."""
    page = tmp_path / "scaling.md"
    page.write_text(f"before\n{capacity.BEGIN}old\n{capacity.END}after\n")
    for _ in range(2):
        capacity.write(capacity.costs_table(COSTS), page)
    text = page.read_text()
    assert text.startswith(f"before\n{capacity.BEGIN}### Costs per event\n")
    assert text.endswith(f"{capacity.END}after\n")
    assert "| Parquet | 32.0 | bytes |" in text


def test_the_tables_name_every_cost_and_rate() -> None:
    """And the prices that they are made from."""
    assert capacity.costs_table(COSTS).count("\n| ") == 2 + len(vars_of(COSTS))
    table = capacity.plans_table(COSTS, REQUESTS, OPERATOR)
    assert "| 1,000 events/s | 50,000 events/s | 1,000,000 events/s |" in table
    assert "Example prices: 0.1 per core and hour" in table
    assert "| a compactor | 200,000 events/s |" in capacity.limits_table(COSTS, OPERATOR)


def test_each_run_of_the_whole_has_a_table_beside_the_plan() -> None:
    """With its ratio."""
    runs = [Run(title, 1_000, 50.0, [Compared("CPU µs", 20.0, 25.0)]) for title in ("a", "b")]
    text = capacity.check_tables(runs)
    for title in ("a", "b"):
        assert f"1,000 events {title}, at 50 events/s.\n\n| " in text
    assert text.count("| CPU µs | 20.0 | 25.0 | 1.25 |") == 2


def vars_of(costs: Costs) -> tuple[str, ...]:
    return costs.__slots__  # type: ignore[attr-defined,no-any-return]
