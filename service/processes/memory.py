"""The memory of a process that runs for long: its garbage, and the part that it no longer needs.

After many clients have gone, their memory stays with the process: the garbage collector runs only
after further allocations, and glibc keeps freed memory that lies below memory in use.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc

GIVE_BACK_EVERY_S = 10.0
_GARBAGE_OBJECTS_MAX = 10_000


async def give_back_regularly() -> None:
    """Return free memory every GIVE_BACK_EVERY_S until cancelled.

    A pass takes a few milliseconds if gc.freeze() has excluded the long-lived objects.
    """
    while True:
        await asyncio.sleep(GIVE_BACK_EVERY_S)
        give_back()


def give_back() -> None:
    """Collect garbage, and return free memory if the C library supports it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def spare_long_lived_objects() -> None:
    """Exclude all objects that exist now from cyclic garbage collection.

    Traversing them every few thousand requests would stop the loop for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS_MAX, 10, 10)
