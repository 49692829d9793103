"""Memory that a process no longer needs, given back to the system.

Whatever a crowd of clients has taken is freed when they are gone, but the garbage collector waits
for allocations that may not come, and glibc keeps what was freed below what is still in use.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc

GIVE_BACK_EVERY_S = 10.0


async def give_back_regularly() -> None:
    """Until cancelled. A few milliseconds each time, where gc.freeze() has spared what stays."""
    while True:
        await asyncio.sleep(GIVE_BACK_EVERY_S)
        give_back()


def give_back() -> None:
    """Collect garbage, and return free memory where the C library knows how."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
