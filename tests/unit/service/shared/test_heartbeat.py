"""Heartbeats: who is silent, who hangs, and who is blamed for nothing."""

import asyncio
import os

import pytest
from manual_clock import ManualClock

from service.shared.heartbeat import BEAT_S, SLOW_START_S, Heartbeats, Silence, Watch

WORKERS = {"worker-0": 10.0, "worker-1": 10.0, "warehouse": 30.0}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def beats(clock: ManualClock) -> Heartbeats:
    """Of three processes that were started and serve."""
    beats = Heartbeats(WORKERS, clock)
    for process in WORKERS:
        beats.started(process)
        beats.beat(process)
    return beats


def go_on(
    clock: ManualClock, beats: Heartbeats, watch: Watch, seconds: int, *beating: str
) -> list[str]:
    """Let time pass, watched, while some processes beat; who hangs at the end."""
    hung: list[Silence] = []
    for _ in range(seconds):
        clock.now_s += 1
        for process in beating:
            beats.beat(process)
        hung = watch.hung()
    return [silence.process for silence in hung]


def test_who_beats_no_more_hangs_after_its_timeout(clock, beats):
    """Each by its own; the others are left alone."""
    watch = Watch(beats, clock)
    assert go_on(clock, beats, watch, 10, "worker-0") == []
    assert go_on(clock, beats, watch, 1, "worker-0") == ["worker-1"]
    assert go_on(clock, beats, watch, 20, "worker-0", "worker-1") == ["warehouse"]


def test_a_start_may_take_as_long_as_it_needs(clock, beats):
    """It is told after a while, and never ended."""
    watch = Watch(beats, clock)
    beats.started("worker-1")
    most_s = int(SLOW_START_S)
    assert go_on(clock, beats, watch, most_s, "worker-0", "warehouse") == []
    assert watch.slow_starts() == []
    assert go_on(clock, beats, watch, 3600, "worker-0", "warehouse") == []
    (slow,) = watch.slow_starts()
    assert str(slow) == f"worker-1 has not begun to serve for {most_s + 3600} s"
    assert beats.why_not_ready("worker-0") == [str(slow)]


def test_a_process_that_was_never_started_is_not_spoken_of(clock):
    """Nor does it beat."""
    beats = Heartbeats(WORKERS, clock)
    assert beats.silences(clock()) == []
    assert Watch(beats, clock).hung() == []


def test_after_a_pause_of_the_observer_all_have_their_timeout_again(clock, beats):
    """The machine, or the whole group, was paused, or the supervisor alone."""
    watch = Watch(beats, clock)
    go_on(clock, beats, watch, 5, *WORKERS)
    clock.now_s += 3600
    assert watch.hung() == []
    assert go_on(clock, beats, watch, 10, "worker-0", "warehouse") == []
    assert go_on(clock, beats, watch, 1, "worker-0", "warehouse") == ["worker-1"]


def test_the_others_are_not_ready_when_one_is_silent(clock, beats):
    """From half of its timeout on; no process speaks of itself."""
    clock.now_s += 6
    beats.beat("worker-0")
    beats.beat("warehouse")
    reason = "worker-1 has not answered for 6 s"
    assert beats.why_not_ready("worker-0") == [reason]
    assert beats.why_not_ready("warehouse") == [reason]
    assert beats.why_not_ready("worker-1") == []


def test_after_a_pause_of_all_no_process_blames_another(clock, beats):
    """Its own last beat is from before the pause too."""
    clock.now_s += 3600
    assert beats.why_not_ready("worker-0") == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_beats_for_all():
    """The memory is shared, and so is the clock."""
    beats = Heartbeats({"child": 1.0})
    beats.started("child")
    pid = os.fork()
    if not pid:
        beats.beat("child")
        os._exit(0)
    os.waitpid(pid, 0)
    (silence,) = beats.silences(0.0)
    assert silence.has_begun


def test_a_loop_beats_for_as_long_as_it_runs(beats, clock):
    """By its own timer."""

    async def run() -> None:
        clock.now_s += 100
        beats.keep_beating("worker-0")
        assert beats.silences(clock())[0].age_s == 0
        clock.now_s += 100
        async with asyncio.timeout(120 * BEAT_S):
            while beats.silences(clock())[0].age_s:
                await asyncio.sleep(0.01)

    asyncio.run(run())
