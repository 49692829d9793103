"""The options that filter events, one per dimension: of `report`, and of `goal add`.

    @app.command()
    @filter_options.added
    def count(shop: str, filters: Filters = NO_FILTERS) -> None: ...

`beaconlog count la-colmena --type view` calls it with the filters {"type": "view"}.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from service.cli import completion

Filters = Mapping[str, str]
"""The values of the given options, by dimension."""
NO_FILTERS: Filters = {}

_OPTIONS: Mapping[str, Any] = {
    "endpoint": typer.Option(
        help="track, conversion or interactions.", autocompletion=completion.endpoints
    ),
    "type": typer.Option(help="A type of event, such as view.", autocompletion=completion.types),
    "product": typer.Option(help="Id of a product.", metavar="ID"),
    "source": typer.Option(help="A source, as in the report sources."),
    "path": typer.Option(help="Path of a page, such as /zapatos."),
    "referrer": typer.Option(help="Host that linked to the visit's first page."),
    "utm_source": typer.Option(help="utm_source of the visit."),
    "utm_medium": typer.Option(help="utm_medium of the visit."),
    "utm_campaign": typer.Option(help="utm_campaign of the visit."),
    "utm_term": typer.Option(help="utm_term of the visit."),
    "utm_content": typer.Option(help="utm_content of the visit."),
    "click_id": typer.Option(help="gclid, fbclid, ttclid or msclkid."),
    "channel": typer.Option(help="A channel, as in the report channels."),
    "device": typer.Option(help="phone, tablet or desktop."),
    "browser": typer.Option(help="A browser, as in the report browsers."),
    "os": typer.Option(help="An operating system, such as Android."),
    "country": typer.Option(help="A country's code, such as HN."),
}
"""The options of the dimensions of `etl.reports.filters`."""


def added(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options in the place of its parameter `filters`."""
    signature = inspect.signature(command, eval_str=True)
    parameters = list(signature.parameters.values())
    place = list(signature.parameters).index("filters")
    parameters[place : place + 1] = _parameters()

    @wraps(command)
    def called(**arguments: Any) -> None:
        options = {dimension: arguments.pop(dimension) for dimension in _OPTIONS}
        given = {dimension: text for dimension, text in options.items() if text is not None}
        command(**arguments, filters=given)

    # Typer reads the options of a command from its signature.
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called


def _parameters() -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            dimension,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None,
            annotation=Annotated[str | None, option],
        )
        for dimension, option in _OPTIONS.items()
    ]
