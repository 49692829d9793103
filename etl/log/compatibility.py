"""Whether this version may read and write a data folder: its own format, and its series' formats.

Every job and every connection asks first; what it finds later may be trusted to be readable.
"""

from __future__ import annotations

from etl.layout import Layout
from etl.log import segments, series


def refuse_newer(layout: Layout) -> None:
    """Raise NewerFormat or DataFolderError for the folder, SeriesFormatError for a series of it."""
    layout.refuse_newer()
    for folder in segments.series_folders(layout.log):
        series.check_format(folder)
