"""Make beacon.min.js from beacon.js, with the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import minify

FOLDER = Path(__file__).parents[1] / "service" / "web" / "public" / "tracker"


def minified(source: str) -> bytes:
    """Return the script without comments and white space, with names of one letter."""
    # A single keyword lets the minifier join declarations, and gzip compresses it better.
    joined = source.replace("const ", "let ")
    text: str = minify.string("application/javascript", joined)
    return text.encode()


def main() -> None:
    """Write beacon.min.js."""
    source = (FOLDER / "beacon.js").read_text("utf-8")
    (FOLDER / "beacon.min.js").write_bytes(minified(source))


if __name__ == "__main__":
    main()
