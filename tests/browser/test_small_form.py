"""The small form of the tracker is what `make tracker` makes of its source, and is small."""

import gzip

from minify_tracker import FOLDER, minified

GZIPPED_BYTES_MAX = 1199


def test_the_small_form_is_made_from_the_source() -> None:
    """Byte for byte; if not, run `make tracker`."""
    source = (FOLDER / "beacon.js").read_text("utf-8")
    assert (FOLDER / "beacon.min.js").read_bytes() == minified(source)


def test_the_small_form_is_below_1200_bytes_gzipped() -> None:
    """As the collector sends it."""
    raw = (FOLDER / "beacon.min.js").read_bytes()
    assert len(gzip.compress(raw, 9, mtime=0)) <= GZIPPED_BYTES_MAX
