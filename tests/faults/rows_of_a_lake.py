"""Prints the rows of a lake in object storage, read without beaconlog: [[number, event id], ...].

A process of its own, because delta-rs sends its requests from threads that it starts once per
process: in a test's process they may be older than the network namespace that the test has entered,
and then ask a server of the host's network.
"""

from __future__ import annotations

import json
import sys

from deltalake import DeltaTable

_OPTIONS = {"aws_allow_http": "true"}


def rows(table: str) -> list[tuple[int, str]]:
    """Return (number, event id) of every row; none before the first commit. Raises OSError."""
    if not DeltaTable.is_deltatable(table, _OPTIONS):
        return []
    columns = ["metadata", "event_id"]
    read = DeltaTable(table, storage_options=_OPTIONS).to_pyarrow_table(columns=columns)
    numbers = [json.loads(text)["number"] for text in read["metadata"].to_pylist()]
    return list(zip(numbers, read["event_id"].to_pylist(), strict=True))


if __name__ == "__main__":
    try:
        print(json.dumps(rows(sys.argv[1])))
    except OSError as error:  # on a busy machine a request may take longer than delta-rs waits
        sys.exit(str(error))
