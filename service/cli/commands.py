"""Every command, on one application: the modules add theirs as they are imported, in this order."""

# isort: off
from service.cli import directory, lake, serve, report, tenant, token

# isort: on
from service.cli.application import app

__all__ = ["app", "directory", "lake", "report", "serve", "tenant", "token"]
