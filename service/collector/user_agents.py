"""User agents: how much of one is read, and which ones are those of browsers."""

CHARS_MAX = 512
"""The longest beginning that is searched; a client can send much more."""

_BROWSERS = ("Mozilla/", "Opera/")


def is_of_browser(user_agent: str) -> bool:
    """Return whether it begins as those of browsers do, and not as those of HTTP libraries."""
    return user_agent.startswith(_BROWSERS)
