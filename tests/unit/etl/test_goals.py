"""The file of goals."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from etl import goals
from etl.goals import Goal, GoalError, GoalStore, is_name

SOLD = Goal(1, "sold", {"type": "purchase", "path": "/shoes"})


def test_goals_are_of_one_tenant(tmp_path: Path) -> None:
    """Two tenants may use one name; adding it again replaces it, and removing takes one only."""
    store = GoalStore(tmp_path / "goals.json")
    assert store.all() == ()
    theirs, again = Goal(2, "sold", {"type": "view"}), Goal(1, "sold", {"channel": "mail"})
    for goal in (SOLD, theirs, again):
        store.add(goal)
    assert GoalStore(tmp_path / "goals.json").of_tenant(1) == {"sold": again}
    assert store.remove(1, "sold")
    assert not store.remove(1, "sold")
    assert store.all() == (theirs,)


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    GoalStore(tmp_path / "goals.json").add(SOLD)
    assert (tmp_path / "goals.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"goals": [1]}',
        '{"goals": [{"tenant_id": "1", "name": "a", "filters": {}}]}',
        '{"goals": [{"tenant_id": 1, "name": "a", "filters": {"path": "\\ud800"}}]}',
    ],
)
def test_a_damaged_file_is_never_overwritten(tmp_path: Path, content: str) -> None:
    """The error says what to do."""
    path = tmp_path / "goals.json"
    path.write_text(content)
    store = GoalStore(path)
    for action in (store.all, lambda: store.add(SOLD), lambda: store.remove(1, "sold")):
        with pytest.raises(GoalError, match="put it back from a backup"):
            action()
    assert path.read_text() == content


def test_a_link_to_a_missing_file_is_never_overwritten(tmp_path: Path) -> None:
    """The volume that has the goals is not mounted."""
    path = tmp_path / "goals.json"
    path.symlink_to(tmp_path / "volume" / "goals.json")
    store = GoalStore(path)
    for action in (store.all, lambda: store.add(SOLD), lambda: store.remove(1, "sold")):
        with pytest.raises(GoalError, match="links to a file that is missing"):
            action()
    assert path.is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A FIFO would let the reader wait for its writer."""
    path = tmp_path / "goals.json"
    make(path)
    store = GoalStore(path)
    for action in (store.all, lambda: store.add(SOLD), lambda: store.remove(1, "sold")):
        with pytest.raises(GoalError, match="is not a regular file"):
            action()


def test_writers_at_once_lose_no_goal(tmp_path: Path) -> None:
    """Each reads what the others wrote, and no reader meets half of a file."""
    names = [f"goal {number}" for number in range(20)]

    def add(name: str) -> None:
        store = GoalStore(tmp_path / "goals.json")
        store.add(Goal(1, name, SOLD.filters))
        assert name in store.of_tenant(1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, names))
    assert {goal.name for goal in GoalStore(tmp_path / "goals.json").all()} == set(names)


def test_a_shop_has_a_bounded_number_of_goals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another shop is not affected, and a goal can still be replaced."""
    monkeypatch.setattr(goals, "GOALS_OF_TENANT_MAX", 1)
    store = GoalStore(tmp_path / "goals.json")
    store.add(SOLD)
    store.add(SOLD)
    store.add(Goal(2, "sold", SOLD.filters))
    with pytest.raises(GoalError, match="at most 1 goals"):
        store.add(Goal(1, "other", SOLD.filters))
    assert len(json.loads((tmp_path / "goals.json").read_bytes())["goals"]) == 2


@pytest.mark.parametrize("name", ["sold", "Días de paga", "a.b-c 2"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a,b", "a:b", "a\n", "-a", "x" * 65])
def test_names_that_a_list_of_steps_could_not_hold(name: str) -> None:
    assert not is_name(name)
