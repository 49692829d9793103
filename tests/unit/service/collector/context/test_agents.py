"""Device, browser and system by the user agent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.channels.rules import Rules
from service.collector.context.agents import Agents

AGENTS = Agents(Rules.load())
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
ANDROID = "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "device", "browser", "system"),
    [
        (f"{ANDROID} Chrome/126.0.0.0 Mobile Safari/537.36", "phone", "Chrome", "Android"),
        (f"{ANDROID} Chrome/126.0.0.0 Safari/537.36", "tablet", "Chrome", "Android"),
        (
            f"{ANDROID} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            *("phone", "Samsung Internet", "Android"),
        ),
        (
            f"{ANDROID} Version/4.0 Chrome/126.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/470.0;]",
            *("phone", "Facebook", "Android"),
        ),
        (
            f"{ANDROID} Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 WA4A/2.24.10.78",
            *("phone", "WhatsApp", "Android"),
        ),
        (f"{IPHONE} Gecko) Mobile/15E148 [WAiOS/2.24]", "phone", "WhatsApp", "iOS"),
        (
            f"{IPHONE} Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            *("phone", "Safari", "iOS"),
        ),
        (
            f"{IPHONE} Gecko) CriOS/126.0.0.0 Mobile/15E148 Safari/604.1",
            *("phone", "Chrome", "iOS"),
        ),
        (
            f"{IPHONE} Gecko) Mobile/15E148 Instagram 337.0.0.0 (iPhone14,5; iOS 17_5)",
            *("phone", "Instagram", "iOS"),
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
            " Version/17.5 Mobile/15E148 Safari/604.1",
            *("tablet", "Safari", "iOS"),
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
            *("desktop", "Edge", "Windows"),
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
            "Gecko) Version/17.5 Safari/605.1.15",
            *("desktop", "Safari", "macOS"),
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            *("desktop", "Firefox", "Linux"),
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/126.0.0.0 Safari/537.36",
            *("desktop", "Chrome", "Chrome OS"),
        ),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
            *("phone", "Firefox", "Android"),
        ),
        (
            "Mozilla/5.0 (Android 14; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0",
            *("tablet", "Firefox", "Android"),
        ),
        (
            "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; id) Presto/2.12.423 Version/12.16",
            *("phone", "Opera Mini", "Android"),
        ),
        (
            "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) "
            "76.0.3809.146/6.0 TV Safari/537.36",
            *(None, "Safari", "Tizen"),
        ),
        ("Mozilla/5.0", None, None, None),
        ("curl/8.5.0", None, None, None),
        ("python-requests/2.32", None, None, None),
        ("GuzzleHttp/7", None, None, None),
        ("", None, None, None),
    ],
)
def test_a_user_agent_tells_its_device(
    user_agent: str, device: str | None, browser: str | None, system: str | None
) -> None:
    """A property that it does not tell is left out; one of no browser tells nothing."""
    known = {"device": device, "browser": browser, "os": system}
    fields = AGENTS.of(user_agent).fields
    assert fields == {name: text for name, text in known.items() if text}


def test_only_the_browser_of_whatsapp_is_its_own() -> None:
    """Not the library that fetches its link previews."""
    assert AGENTS.of(f"{ANDROID} Chrome/126.0 Mobile Safari/537.36 WA4A/2.24").is_whatsapp
    assert not AGENTS.of("WhatsApp/2.23.20.0 A WA4A/").is_whatsapp
    assert not AGENTS.of(f"{ANDROID} Chrome/126.0 Mobile Safari/537.36").is_whatsapp


@given(st.text(max_size=600))
def test_any_text_is_read(text: str) -> None:
    """Only its first 512 characters count, and nothing stored is longer than 255."""
    for user_agent in (text, f"Mozilla/5.0 ({text}", f"Mozilla/5.0 (Linux; {text}/1.0; wv) {text}"):
        agent = AGENTS.of(user_agent)
        assert agent == AGENTS.of(user_agent[:512])
        assert all(1 <= len(found) <= 255 for found in agent.fields.values())
