"""The command line: the only place that prints and exits. A module a kind of command.

Exit codes: 0 done; 1 the work found something wrong (a failed check, a replay with errors); 2 the
command cannot be carried out as it was asked (a flag, a setting, a file), in one line on stderr;
130 interrupted; 141 whoever read the output is gone.
"""

import os

from service.cli import ending


def main() -> None:
    """The console script. All that it writes is its user's alone, whatever the umask."""
    os.umask(os.umask(0) | 0o077)
    ending.run(_commands)


def _commands() -> None:
    from service.cli.commands import app  # noqa: PLC0415  (takes long enough to be interrupted)

    app()
