"""The command line: the only room that prints and exits. One module per noun.

Exit codes: 0 success; 1 the command found something wrong (a failed check, a replay with errors);
2 the command cannot be carried out as given (a flag, a setting, a file), with one line on stderr;
130 interrupted; 141 the pipe that read the output was closed.
"""

import os

from service.cli import exit_codes


def main() -> None:
    """Run the console script. Whatever the umask, only the user can read what it writes."""
    os.umask(os.umask(0) | 0o077)
    exit_codes.run(_commands)


def _commands() -> None:
    from service.cli.commands import app  # noqa: PLC0415  (takes long enough to be interrupted)

    app()
