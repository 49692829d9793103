"""The texts of the dashboard: whole in every language, used, and only in their files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.web.private import dashboard
from service.web.private.dashboard import languages

STATIC = Path(dashboard.__file__).parent / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
REFERENCE = "en"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
LITERAL = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|`([^`\n]*)`|'([^'\n]*)'")
WORDS = re.compile(r"^[A-ZÁÉÍÓÚÑ][a-zñáéíóú]+[ .!?]|[A-Za-z]{2,} [A-Za-z]{2,} [a-z]{2,}")


def strings(language: str) -> dict[str, str | dict[str, str]]:
    found: dict[str, str | dict[str, str]] = json.loads(languages.strings(language))
    return found


def variants(entry: str | dict[str, str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry.values())


@pytest.mark.parametrize("language", [code for code in languages.LANGUAGES if code != REFERENCE])
def test_every_text_is_translated(language: str) -> None:
    """With the same values in it, and with plurals where the other language has them."""
    reference, translated = strings(REFERENCE), strings(language)
    assert reference.keys() == translated.keys()
    for key, entry in reference.items():
        assert isinstance(entry, str) == isinstance(translated[key], str), key
        wanted = {name for text in variants(entry) for name in PLACEHOLDER.findall(text)}
        for text in variants(translated[key]):
            assert text.strip(), key
            assert set(PLACEHOLDER.findall(text)) == wanted, key


def test_every_text_is_used_and_every_used_text_exists() -> None:
    """Keys are written whole, or as a prefix with a name of the API after it."""
    sources = [path.read_text() for path in [*SCRIPTS, *STATIC.glob("*.html")]]
    sources.append((STATIC.parent / "pages.py").read_text())
    code = "\n".join(sources)
    whole = set(re.findall(r"""["']([a-z][\w.-]*)["']""", code))
    prefixes = set(re.findall(r"[`\"]([a-z-]+\.)(?:\$\{|\{)", code))
    prefixes |= {f"{kind}." for kind in re.findall(r"say\.name\(\"(\w+)\"", code)}
    prefixes |= {f"{kind}." for kind in ("channel", "source", "device", "type")}  # by valueName
    keys = strings(REFERENCE).keys()
    assert [key for key in keys if key not in whole and not key.startswith(tuple(prefixes))] == []
    used = set(re.findall(r"(?:say|this\.say)\.text\(\s*\"([^\"]+)\"", code))
    assert used - keys == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_contain_no_text(script: Path) -> None:
    """Words that a reader would see are only in the files of the texts."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text(), flags=re.DOTALL)
    literals = ["".join(found) for found in LITERAL.findall(code)]
    assert [text for text in literals if WORDS.search(text)] == []


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("es-HN,es;q=0.9,en;q=0.8", "es"), ("fr, en-GB", "en"), ("fr", "en"), ("", "en")],
)
def test_the_first_language_of_the_browser_counts(accepted: str, language: str) -> None:
    """English, if none of them has texts."""
    assert languages.of_browser(accepted) == language
