"""The mark of a folder `lake` with copies of a lake in object storage: the file `copy-of.json`.

Without it, copies would be taken for a lake of the folder's own once `lake_url` is removed, and
such a lake for copies once it is set. Both are refused.
"""

from __future__ import annotations

import json

from etl import durable
from etl.layout import DataFolderError, Layout


def require(layout: Layout, lake_url: str) -> None:
    """Raise DataFolderError unless the folder may hold copies of `lake_url`; its own if empty.

    A mark of another lake is deleted as long as there is no table.
    """
    url, marked = lake_url.rstrip("/"), _marked(layout)
    if marked == (url or None):
        return
    if not any(layout.lake.glob("*/_delta_log/*.json")):
        layout.lake_copy_of.unlink(missing_ok=True)
    elif marked is None:
        raise DataFolderError(
            f"{layout.lake} holds a lake of its own, which {url} would hide; copy it to there and "
            "delete the folder, see docs/object-storage.md"
        )
    else:
        raise DataFolderError(
            f"{layout.lake} holds copies of {marked}; delete the folder, or set lake_url to that"
        )


def mark(layout: Layout, url: str) -> None:
    """Mark the folder, durably, before the first copy.

    Raises DataFolderError as `require` does; OSError.
    """
    require(layout, url)
    if _marked(layout) is None:
        content = json.dumps({"lake_url": url}).encode() + b"\n"
        durable.make_folder(layout.lake)
        durable.write_file(layout.lake_copy_of, content)


def _marked(layout: Layout) -> str | None:
    """Return the URL in the mark; None without a mark."""
    try:
        return str(json.loads(layout.lake_copy_of.read_bytes())["lake_url"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another lake"
