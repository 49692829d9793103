"""The examples in a section of docs/integration.md, and running one as it is.

A section ends at the next title, of whatever level.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "integration.md"
EXAMPLE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNTIMES = {"python": sys.executable, "javascript": "node", "php": "php"}
ENDINGS = {"python": "py", "javascript": "js", "php": "php"}
TIMEOUT_S = 120


def blocks(title: str) -> list[tuple[str, str]]:
    """The code under a title, with the language of each block, in order."""
    text = DOCS.read_text()
    section = re.search(rf"^(##+) {title}\n(.*?)(?=^##+ |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, title
    return EXAMPLE.findall(section[2])


def examples(title: str) -> dict[str, str]:
    """The code of each language under a title."""
    return dict(blocks(title))


def run(
    code: str, language: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run an example with these variables beside those of this process."""
    runtime = shutil.which(RUNTIMES[language])
    assert runtime, f"{RUNTIMES[language]} is needed to run the example in {language}"
    program = folder / f"example.{ENDINGS[language]}"
    program.write_text(code)
    return subprocess.run(
        [runtime, program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
