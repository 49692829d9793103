"""The application with every command: each module, when imported, adds its own, in this order."""

# isort: off
from service.cli import (
    serve,
    demo,
    replay,
    report,
    sql,
    lake,
    backup,
    ship,
    erase,
    directory,
    goal,
    tenant,
    token,
)

# isort: on
from service.cli.application import app

__all__ = [
    "app",
    "backup",
    "demo",
    "directory",
    "erase",
    "goal",
    "lake",
    "replay",
    "report",
    "serve",
    "ship",
    "sql",
    "tenant",
    "token",
]
