"""Robots by their user agents, and people who must not be taken for one."""

import re

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given
from hypothesis import strategies as st

from service.collector.bots import is_bot

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) "
    "AppleWebKit/605.1.15 (KHTML, like Gecko)"
)
ANDROID = f"Mozilla/5.0 (Linux; Android 13; SM-A536E Build/TP1A.220624.014; wv) {WEBKIT}"

PEOPLE = {
    "chrome": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/131.0.0.0 Safari/537.36",
    "edge": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} "
    "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "safari": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
    "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "iphone": f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1",
    "chrome on iphone": f"{IPHONE} CriOS/126.0.6478.153 Mobile/15E148 Safari/604.1",
    "google app": f"{IPHONE} GSA/322.0.6 Mobile/15E148 Safari/604.1",
    "android": f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
    "samsung": f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} "
    "SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
    "opera mini": "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1/37; U; es) Presto/2.12.423 Version/12.16",
    "cubot phone": f"Mozilla/5.0 (Linux; Android 9; CUBOT_X19) {WEBKIT} "
    "Chrome/80.0.3987.99 Mobile Safari/537.36",
    "whatsapp on iphone": f"{IPHONE} Mobile/15E148 WhatsApp/24.11.85",
    "whatsapp on android": f"{ANDROID} Version/4.0 Chrome/126.0.6478.122 "
    "Mobile Safari/537.36 WhatsApp/2.24.13.77",
    "viber": f"{ANDROID} Version/4.0 Chrome/126.0.6478.122 Mobile Safari/537.36 Viber/22.4",
    "facebook": f"{IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/468.0.0.0;FBDV/iPhone15,2;FBLC/es_LA]",
    "instagram": f"{ANDROID} Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 "
    "Instagram 337.0.0.0 Android (33/13; 420dpi; 1080x2400; samsung; SM-A536E; es_US)",
    "nobody": "",
}

SHOP_SERVERS = [
    "curl/8.5.0",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "GuzzleHttp/7",
    "Go-http-client/2.0",
    "axios/1.7.2",
    "Apache-HttpClient/4.5.14 (Java/17.0.1)",
]

ROBOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"Mozilla/5.0 {WEBKIT[:-1]}; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    f"Mozilla/5.0 {WEBKIT[:-1]}; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/131.0.0.0 Safari/537.36",
    "WhatsApp/2.23.20.0",
]


@pytest.mark.parametrize("user_agent", PEOPLE.values(), ids=PEOPLE.keys())
def test_people_are_not_bots(user_agent: str) -> None:
    """Browsers, also inside an app, are people."""
    assert not is_bot(user_agent)


@pytest.mark.parametrize("user_agent", SHOP_SERVERS)
def test_http_libraries_are_not_bots(user_agent: str) -> None:
    """A shop's own server may report its events."""
    assert not is_bot(user_agent)


@pytest.mark.parametrize("user_agent", ROBOTS)
def test_robots_are_bots(user_agent: str) -> None:
    """Crawlers, previews and headless browsers are flagged."""
    assert is_bot(user_agent)


def instances(*, libraries: bool) -> list[tuple[str, str]]:
    """The list's (pattern, user agent) pairs, of its HTTP libraries or of all the others."""
    return [
        (entry["pattern"], user_agent[:512])
        for entry in CRAWLER_USER_AGENTS_DATA
        for user_agent in entry["instances"]
        if (entry["tags"] == ["http-library"]) == libraries
    ]


def test_every_robot_of_the_list_is_found() -> None:
    """Splitting the list into words and expressions loses none of it."""
    robots = [agent for pattern, agent in instances(libraries=False) if re.search(pattern, agent)]
    assert [agent for agent in robots if not is_bot(agent)] == []


def test_libraries_are_bots_only_where_they_say_so() -> None:
    """A library's user agent is flagged only where another entry of the list matches it too."""
    robots = [
        re.compile(entry["pattern"])
        for entry in CRAWLER_USER_AGENTS_DATA
        if entry["tags"] != ["http-library"]
    ]
    for _, agent in instances(libraries=True):
        assert is_bot(agent) == any(robot.search(agent) for robot in robots)


@given(st.text())
def test_any_text_is_one_or_the_other(text: str) -> None:
    """Whatever a client sends as its user agent, there is an answer."""
    assert is_bot(f"bingbot {text}")
    assert is_bot(text) in {True, False}


def test_only_the_beginning_is_read() -> None:
    """A name beyond 512 characters is not looked for."""
    assert is_bot("x" * (512 - len("bingbot")) + "bingbot")
    assert not is_bot("x" * 512 + "bingbot")
