"""The command line: the only place that prints and exits. A module a kind of command.

Exit codes: 0 done; 1 the work found something wrong (a failed check, a replay with errors); 2 the
command cannot be carried out as it was asked (a flag, a setting, a file), in one line on stderr.
"""

from service.cli import processes as processes  # isort: skip
from service.cli import lake as lake  # isort: skip
from service.cli import reports as reports  # isort: skip
from service.cli import directory as directory  # isort: skip
from service.cli import tokens as tokens  # isort: skip
from service.cli.shared import app


def main() -> None:
    """The console script."""
    app()
