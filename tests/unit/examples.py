"""How many examples a property is tried with: all, or the share that EXAMPLES_SHARE names."""

import os

SHARE = float(os.environ.get("EXAMPLES_SHARE", "1"))


def examples(count: int) -> int:
    """Return the share of `count`; at least one."""
    return max(1, round(count * SHARE))
