"""The end of a day, which tests that compare the ids of visitors may not run across.

Their shops have no zone, so their days are those of UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harness import eventually


def stay_within(longest: timedelta) -> None:
    """Return at once, or after midnight if it would come within `longest`: salts are daily."""

    def is_day_long_enough() -> bool:
        now = datetime.now(UTC)
        return (now + longest).date() == now.date()

    eventually(is_day_long_enough, timeout_s=longest.total_seconds() + 30)
