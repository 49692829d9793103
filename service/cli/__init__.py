"""The command line: the only place that prints and exits. A module a kind of command.

Exit codes: 0 done; 1 the work found something wrong (a failed check, a replay with errors); 2 the
command cannot be carried out as it was asked (a flag, a setting, a file), in one line on stderr;
130 interrupted; 141 whoever read the output is gone.
"""

from service.cli import ending


def main() -> None:
    """The console script."""
    ending.run(_commands)


def _commands() -> None:
    from service.cli.commands import app  # noqa: PLC0415  (takes long enough to be interrupted)

    app()
