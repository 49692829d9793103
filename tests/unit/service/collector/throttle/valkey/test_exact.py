"""One limit over several machines: what they admit together is what the limit allows."""

from __future__ import annotations

import json
import subprocess
import sys

from valkey_process import ValkeyProcess

# A bucket that fills within a minute, so that no pause of a busy machine can overflow it.
RATE_PER_S, BURST = 2000, 120_000
FOR_S = 0.7
MACHINE = f"""
import asyncio, json, sys, time
from service.collector.throttle.gates import RateLimits
from service.collector.throttle.token_bucket import Rate
from throttle_tools import Worker, together

LIMITS = RateLimits(api=Rate(per_s={RATE_PER_S}, burst={BURST}))

async def ask(url, machine):
    admitted, turns = 0, []
    async with Worker(url, machine=machine, limits=LIMITS).running() as worker:
        begun_s = time.monotonic()
        while not turns or turns[-1][1] < begun_s + {FOR_S}:
            asked_s = time.monotonic()
            entered = await together(*[lambda: worker.gates.api.enter_many("a", 3000)] * 40)
            turns.append((asked_s, time.monotonic()))
            admitted += sum(each.requests for each in entered)
        assert worker.by_machine == 0
    print(json.dumps([admitted, turns[0], turns[-1]]))

asyncio.run(ask(*sys.argv[1:]))
"""


def test_three_machines_together_get_exactly_the_limit(valkey: ValkeyProcess) -> None:
    """The burst, and the rate for the time between the first and the last request."""
    env = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", MACHINE, valkey.url, f"m{number}"],
            stdout=subprocess.PIPE,
            env=env,
        )
        for number in range(3)
    ]
    admitted, first, last = zip(
        *(json.loads(machine.communicate(timeout=120)[0]) for machine in machines), strict=True
    )
    # The first request was decided between these moments, and the last one between those.
    first_from_s, first_to_s = map(min, zip(*first, strict=True))
    last_from_s, last_to_s = map(max, zip(*last, strict=True))
    beyond_burst = sum(admitted) - BURST
    assert RATE_PER_S * (last_from_s - first_to_s) - 1 <= beyond_burst
    assert beyond_burst <= RATE_PER_S * (last_to_s - first_from_s) + 1
