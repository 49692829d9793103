"""The supervisor with real forks, in a process of its own: this file is also that program.

A process says what it does in lines on the standard output that all of them share, so the end of
that output is the end of the last of them.
"""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from service.processes.supervisor import ProcessSpec, Supervisor, signals_held
from service.shared.heartbeat import Heartbeats

PATIENCE_S = 120.0
DRAIN_S = 3.0  # of which a process that does drain needs little, on a busy machine too
BEATS = Heartbeats({"hanging-0": 0.2, "listener-1": 0.2})


# -- the program ------------------------------------------------------------------------------


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def listener(lifeline: int) -> int:
    """Ends with the supervisor."""
    say("start", os.getpid())
    os.read(lifeline, 1)
    say("end", os.getpid())
    return 0


def obedient(code: int) -> Callable[[int], int]:
    """Ends at SIGTERM with an exit code."""

    def main(_lifeline: int) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        say("start", os.getpid())
        signal.sigwait([signal.SIGTERM])
        say("drained", os.getpid())
        return code

    return main


def slow(_lifeline: int) -> int:
    """Ends once it was told to and its standard input has ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    say("start", os.getpid())
    signal.sigwait([signal.SIGTERM])
    say("draining", os.getpid())
    os.read(0, 1)
    return 0


def deaf(_lifeline: int) -> int:
    """Ends for nobody."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("start", os.getpid())
    while True:
        signal.pause()


def newborn(_lifeline: int) -> int:
    """Has not come to listen to SIGTERM."""
    say("start", os.getpid())
    while True:
        signal.pause()


def crashing(lifeline: int) -> int:
    """Fails as often as its standard input has letters, and then stays."""
    say("start", os.getpid())
    if os.read(0, 1):
        return 3
    os.read(lifeline, 1)
    return 0


def raising(_lifeline: int) -> int:
    say("start", os.getpid())
    raise ValueError("a bug")


def hanging(_lifeline: int) -> int:
    """Serves, and is then stopped as by a debugger: it beats no more and hears nothing."""
    say("start", os.getpid())
    BEATS.beat("hanging-0")
    os.kill(os.getpid(), signal.SIGSTOP)
    return 0


ROLES = {
    "hanging": hanging,
    "lacking": listener,
    "listener": listener,
    "obedient": obedient(0),
    "failing": obedient(1),
    "slow": slow,
    "deaf": deaf,
    "newborn": newborn,
    "crashing": crashing,
    "raising": raising,
}


def lacking_processes() -> Callable[[], int]:
    """Return a fork that fails twice, as at the limit of processes."""
    fork, failures = os.fork, [1, 2]

    def limited() -> int:
        if failures:
            failures.pop()
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    return limited


def program(names: list[str]) -> int:
    if "lacking" in names:
        os.fork = lacking_processes()
    logging.basicConfig(format="%(message)s %(fields)s")
    drain_timeout_s = DRAIN_S if {"deaf", "hanging"} & set(names) else PATIENCE_S
    roles = [ProcessSpec(f"{name}-{slot}", ROLES[name]) for slot, name in enumerate(names)]
    beats = BEATS if "hanging" in names else None
    with signals_held():
        return Supervisor(roles, beats, drain_timeout_s=drain_timeout_s).run()


# -- the tests --------------------------------------------------------------------------------


class Supervised:
    """The program while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def started(self) -> int:
        """The pid of the next process that starts."""
        return self.said("start")

    def said(self, word: str) -> int:
        assert self.process.stdout
        said, pid = self.process.stdout.readline().split()
        assert said == word
        return int(pid)

    def end(self) -> tuple[int, list[str], str]:
        """The exit code, the lines not read yet, and stderr, once every process has ended."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.splitlines(), err


@contextmanager
def supervised(*roles: str, given: str = "") -> Iterator[Supervised]:
    command = [sys.executable, __file__, *roles]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    assert process.stdin
    process.stdin.write(given)
    process.stdin.flush()
    try:
        yield Supervised(process)
    finally:
        # The group, which is the program's own: a child that was left behind is ended too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_all_are_drained_and_the_exit_code_is_0(stop: signal.Signals) -> None:
    """A signal to the supervisor reaches every process as SIGTERM."""
    with supervised("obedient", "obedient") as program:
        pids = {program.started(), program.started()}
        program.process.send_signal(stop)
        code, lines, err = program.end()
    assert code == 0, err
    assert set(lines) == {f"drained {pid}" for pid in pids}


def test_ctrl_c_in_a_terminal_is_a_drain_too() -> None:
    """It reaches the whole group at once; the processes wait to be told by the supervisor."""
    with supervised("obedient", "newborn") as program:
        program.started()
        program.started()
        os.killpg(program.process.pid, signal.SIGINT)
        code, lines, err = program.end()
    assert code == 0
    assert len(lines) == 1
    assert err == ""


def test_a_signal_that_is_repeated_does_not_cut_the_drain_short() -> None:
    """The exit code stays that of the drain."""
    with supervised("slow") as program:
        program.started()
        program.process.terminate()
        program.said("draining")
        for repeated in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            program.process.send_signal(repeated)
        code, _, err = program.end()
    assert code == 0, err


def test_a_signal_before_anything_runs_is_not_lost() -> None:
    """Signals are held from before the first process on."""
    with signals_held():
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert signal.SIGTERM in signal.sigpending()
    assert signal.SIGTERM not in signal.sigpending()


def test_a_process_that_could_not_listen_yet_had_nothing_to_drain() -> None:
    """Stopping at once after a start is a clean end."""
    with supervised("newborn") as program:
        program.started()
        program.process.terminate()
        assert program.end()[0] == 0


def test_a_drain_that_fails_is_told_by_the_exit_code() -> None:
    """One process that ends badly is enough."""
    with supervised("obedient", "failing") as program:
        program.started()
        program.started()
        program.process.terminate()
        assert program.end()[0] == 1


def test_a_process_that_does_not_drain_is_killed() -> None:
    """After the timeout; the others were drained."""
    with supervised("deaf", "obedient") as program:
        pids = {program.started(), program.started()}
        program.process.terminate()
        code, lines, err = program.end()
    assert code == 1
    assert len(lines) == 1
    assert "killed" in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_process_that_crashes_is_restarted_ever_later() -> None:
    """The pause doubles with every crash in a row."""
    with supervised("crashing", given="xxx") as program:
        pids = [program.started() for _ in range(3)]
        assert program.process.stdin
        program.process.stdin.close()
        program.process.stdin = None
        pids.append(program.started())
        program.process.terminate()
        code, _, err = program.end()
    assert code == 0
    assert len(set(pids)) == 4
    told = [line for line in err.splitlines() if "process ended" in line]
    pauses = [float(line.partition("'restart_in_s': ")[2].rstrip("}")) for line in told]
    assert pauses == [0.1, 0.2, 0.4]
    assert all("'exit': 3" in line for line in told)


def test_a_process_that_cannot_be_forked_is_started_later() -> None:
    """The others go on meanwhile, and the log says why."""
    with supervised("lacking") as program:
        program.started()
        program.process.terminate()
        code, _, err = program.end()
    assert code == 0
    first, second = [line for line in err.splitlines() if "cannot start a process" in line]
    assert "'why': 'Resource temporarily unavailable', 'restart_in_s': 0.1" in first
    assert "'restart_in_s': 0.2" in second


def test_a_bug_is_printed_and_restarted() -> None:
    """An exception of a process is logged with its traceback."""
    with supervised("raising") as program:
        program.started()
        program.started()
        program.process.terminate()
        code, _, err = program.end()
    assert code in (0, 1)
    assert "ValueError: a bug" in err
    assert "'exit': 1" in err


def test_a_killed_process_is_replaced_and_leaves_no_zombie() -> None:
    """While the other one goes on undisturbed."""
    with supervised("listener", "listener") as program:
        pids = {program.started(), program.started()}
        victim, other = sorted(pids)
        os.kill(victim, signal.SIGKILL)
        replacement = program.started()
        assert replacement not in pids
        assert not Path(f"/proc/{victim}").exists()
        assert Path(f"/proc/{other}").exists()


def test_a_supervisor_that_was_paused_goes_on() -> None:
    """Longer than it waits for a signal: then Python returns one that was never sent."""
    with supervised("listener") as program:
        pid = program.started()
        for _ in range(3):
            program.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, program.process.pid, os.WSTOPPED)
            with suppress(subprocess.TimeoutExpired):
                program.process.wait(1)
            program.process.send_signal(signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
            pid = program.started()
        program.process.terminate()
        assert program.end()[0] == 0


def test_a_process_that_hangs_is_replaced() -> None:
    """And told in one line each time; one that has not begun to serve is left alone."""
    with supervised("hanging", "listener") as program:
        pids = [program.started() for _ in range(4)]
        program.process.terminate()
        _, _, err = program.end()
    assert len(set(pids)) == 4
    told = [line for line in err.splitlines() if "it does not answer" in line]
    assert len(told) in (2, 3)
    assert all("'process': 'hanging-0'" in line for line in told)


def test_all_end_when_the_supervisor_is_killed() -> None:
    """Whatever order they were started in, a restarted one included: none holds the lifeline."""
    with supervised("listener", "listener", "listener") as program:
        pids = {program.started() for _ in range(3)}
        victim = max(pids)
        os.kill(victim, signal.SIGKILL)
        pids = pids - {victim} | {program.started()}
        program.process.kill()
        code, lines, _ = program.end()
    assert code == -signal.SIGKILL
    assert set(lines) == {f"end {pid}" for pid in pids}


if __name__ == "__main__":
    sys.exit(program(sys.argv[1:]))
