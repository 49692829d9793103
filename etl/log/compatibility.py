"""Checking that this version may read and write a data folder and the series in it.

Every job and every connection checks first, and may then rely on what it reads.
"""

from __future__ import annotations

from etl.layout import Layout
from etl.log import segments, series


def refuse_newer(layout: Layout) -> None:
    """Raise NewerFormat or DataFolderError for the folder, SeriesFormatError for a series in it."""
    layout.refuse_newer()
    for folder in segments.series_folders(layout.log):
        series.check_format(folder)
