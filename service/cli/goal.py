"""The commands on goals: add, list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from etl.goals import NAME_CHARS_MAX, Goal, GoalError, GoalStore, is_name
from etl.layout import Layout
from service.cli import filter_options
from service.cli.application import App, AsJson, Config, Data, app
from service.cli.context import open_data, require_client_of, require_tenant_id
from service.cli.filter_options import NO_FILTERS, Filters
from service.cli.output import fail, print_json, print_line, print_table
from service.settings import Settings

goal_app = App(
    help="Goals of a shop: filters with a name, for reports and funnels.", no_args_is_help=True
)
app.add_typer(goal_app, name="goal")

_Shop = Annotated[str, typer.Argument(metavar="SHOP", help="Id or slug of the shop.")]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the goal.")]


@goal_app.command("add")
@filter_options.added
def add(
    shop: _Shop,
    name: _Name,
    config: Config = None,
    data: Data = None,
    filters: Filters = NO_FILTERS,
) -> None:
    """Name filters as a goal of a shop; a goal of that name is replaced.

    beaconlog goal add la-colmena shoes-asked --type whatsapp_click --path /zapatos

    beaconlog report funnel --tenant la-colmena --steps view,goal:shoes-asked
    """
    loaded = open_data(data, config)
    if not is_name(name):
        fail(
            f"NAME takes letters, digits, spaces, dots and hyphens, up to {NAME_CHARS_MAX} of them"
        )
    if not filters:
        fail("a goal needs at least one filter, such as --type purchase")
    _require_usable(filters)
    goal = Goal(require_tenant_id(loaded, shop, "SHOP"), name, filters)
    try:
        _store(loaded).add(goal)
    except GoalError as error:
        fail(str(error))
    print_line(f"tenant {goal.tenant_id}: goal {goal.name}")


@goal_app.command("list")
def list_goals(
    shop: Annotated[
        str | None, typer.Argument(metavar="[SHOP]", help="Id or slug of the only shop to list.")
    ] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the goals of a shop, or of all shops."""
    loaded = open_data(data, config)
    tenant_id = None if shop is None else require_tenant_id(loaded, shop, "SHOP")
    try:
        goals = _store(loaded, pulled=True).all()
    except GoalError as error:
        fail(str(error))
    listed = [goal for goal in goals if tenant_id in (None, goal.tenant_id)]
    if as_json:
        print_json({"goals": [_row(goal, dict(goal.filters)) for goal in listed]})
        return
    rows = [
        _row(goal, ", ".join(f"{name} = {text}" for name, text in goal.filters.items()))
        for goal in listed
    ]
    print_table("goals", ["tenant_id", "name", "filters"], rows)


@goal_app.command("remove")
def remove(shop: _Shop, name: _Name, config: Config = None, data: Data = None) -> None:
    """Remove a goal; questions that name it are refused from then on."""
    loaded = open_data(data, config)
    tenant_id = require_tenant_id(loaded, shop, "SHOP")
    try:
        existed = _store(loaded).remove(tenant_id, name)
    except GoalError as error:
        fail(str(error))
    if not existed:
        fail(f"tenant {tenant_id} has no goal of that name; see `beaconlog goal list`")
    print_line(f"tenant {tenant_id}: goal {name} removed")


def _store(loaded: Settings, *, pulled: bool = False) -> GoalStore:
    """Return the goals of the data folder; if `pulled`, fetch the shared ones first."""
    file = Layout(loaded.data).goals
    if not loaded.shared_url:
        return GoalStore(file)
    require_client_of(loaded.shared_url)
    from service.processes import shared_files  # noqa: PLC0415

    shared = shared_files.goals_file(file, loaded.shared_url)
    if shared and pulled:
        shared.pull()
    return GoalStore(file, shared)


def _row(goal: Goal, filters: object) -> dict[str, object]:
    return {"tenant_id": goal.tenant_id, "name": goal.name, "filters": filters}


def _require_usable(filters: Filters) -> None:
    from etl.reports.goal_references import parsed  # noqa: PLC0415  (imports DuckDB)
    from etl.reports.parameters import ParameterError  # noqa: PLC0415

    try:
        parsed(filters)
    except ParameterError as error:
        fail(str(error))
