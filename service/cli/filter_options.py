"""The options that filter events, one per dimension: of `report`, and of `goal add`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import completion

Endpoint = Annotated[
    str | None,
    typer.Option(help="track, conversion or interactions.", autocompletion=completion.endpoints),
]
Type = Annotated[
    str | None,
    typer.Option("--type", help="A type of event, such as view.", autocompletion=completion.types),
]
Product = Annotated[str | None, typer.Option(help="Id of a product.", metavar="ID")]
Source = Annotated[str | None, typer.Option(help="A source, as in the report sources.")]
Path = Annotated[str | None, typer.Option(help="Path of a page, such as /zapatos.")]
Referrer = Annotated[str | None, typer.Option(help="Host that linked to the visit's first page.")]
UtmSource = Annotated[str | None, typer.Option(help="utm_source of the visit.")]
UtmMedium = Annotated[str | None, typer.Option(help="utm_medium of the visit.")]
UtmCampaign = Annotated[str | None, typer.Option(help="utm_campaign of the visit.")]
UtmTerm = Annotated[str | None, typer.Option(help="utm_term of the visit.")]
UtmContent = Annotated[str | None, typer.Option(help="utm_content of the visit.")]
ClickId = Annotated[str | None, typer.Option(help="gclid, fbclid, ttclid or msclkid.")]
Channel = Annotated[str | None, typer.Option(help="A channel, as in the report channels.")]
Device = Annotated[str | None, typer.Option(help="phone, tablet or desktop.")]
Browser = Annotated[str | None, typer.Option(help="A browser, as in the report browsers.")]
Os = Annotated[str | None, typer.Option(help="An operating system, such as Android.")]
Country = Annotated[str | None, typer.Option(help="A country's code, such as HN.")]
