"""A replay with a progress bar on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.replay.client import Summary, replay
from service.replay.sender import Work


def replay_with_progress(
    requests: Iterable[Work],
    url: str,
    *,
    concurrency: int,
    console: Console,
    total: int | None = None,
) -> Summary:
    """Replay, and show how many requests and events of `total`, if known, were counted."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("sending", total=total)
        return replay(
            requests,
            url,
            concurrency=concurrency,
            on_progress=lambda done: progress.update(task, completed=done),
        )
