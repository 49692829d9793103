"""Compile the hot path with mypyc if BEACONLOG_COMPILE is set; setup.cfg has everything else.

The source is the same, and so is what it does. It needs a C compiler while it is installed.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

_ROOMS = (
    *("collector", "collector/context", "collector/contract", "collector/intake"),
    *("collector/directory", "collector/journal", "collector/signing", "collector/throttle"),
    *("web/http", "web/public"),
)
_INTERPRETED = frozenset(
    {
        # Doors, whose names must stay those of their modules.
        "__init__.py",
        # A metaclass of msgspec's.
        "sent.py",
        # Coroutines and threads, and subclasses of asyncio's and Tornado's classes.
        *("directory.py", "lookups.py", "journal.py", "disk_thread.py"),
        *("connection.py", "fast_server.py", "stock_server.py", "tornado_exchange.py"),
        *("app.py", "exchanges.py"),
        # Not called per event.
        *(
            "countries.py",
            "loading.py",
            "secret_store.py",
            "connection_limits.py",
            "connection_manager.py",
            "server.py",
        ),
        *("api_document.py", "batch_document.py", "paths.py"),
    }
)


def compiled() -> list[Extension]:
    """Return the extension modules."""
    from mypyc.build import mypycify  # noqa: PLC0415 (pip installs it only to compile)

    rooms = (Path("service") / room for room in _ROOMS)
    files = sorted(str(file) for room in rooms for file in room.glob("*.py"))
    hot = [file for file in files if Path(file).name not in _INTERPRETED]
    mypy = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
    return mypycify([*mypy, *hot], group_name="hot", opt_level="2", debug_level="0")


if os.environ.get("BEACONLOG_COMPILE"):
    if "editable_wheel" in sys.argv:
        sys.exit("BEACONLOG_COMPILE compiles no editable installation; use pip install .")
    # pip asks for requirements and metadata first, and then for the wheel.
    is_built = "bdist_wheel" in sys.argv
    setup(ext_modules=compiled() if is_built else [], setup_requires=["mypy>=2,<3"])
else:
    setup()
