"""A clock that a test moves by hand."""


class ManualClock:
    """A clock that shows `now_s`, in seconds."""

    def __init__(self, now_s: float = 5000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s
