"""Every command, on one application: the modules add theirs as they are imported."""

from service.cli import directory, lake, processes, reports, tenants, tokens
from service.cli.shared import app

__all__ = ["app", "directory", "lake", "processes", "reports", "tenants", "tokens"]
