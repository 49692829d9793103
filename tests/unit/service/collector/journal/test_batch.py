"""The payment of a batch: each payee once, in order, whatever the others do."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from service.collector.journal import Batch, JournalBroken

FATES = st.sampled_from([None, JournalBroken("sync failed")])


@given(st.lists(st.booleans(), max_size=12), FATES)
def test_every_payee_is_paid_once_and_in_order(
    payees_raise: list[bool], fate: Exception | None
) -> None:
    """A payee that raises is reported, and those after it are paid all the same."""
    paid: list[tuple[int, Exception | None]] = []
    reported: list[str] = []

    def payee(number: int, *, raises: bool) -> None:
        def pay(error: Exception | None) -> None:
            paid.append((number, error))
            if raises:
                raise RuntimeError(f"defect {number}")

        batch.owe(pay)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
        for number, raises in enumerate(payees_raise):
            payee(number, raises=raises)
        batch.settle(fate)
        batch.settle(JournalBroken("too late"))
        assert not paid, "a payee may submit again, so it must not run inside of the committer"
        for _ in range(len(payees_raise) + 1):
            await asyncio.sleep(0)

    batch = Batch()
    asyncio.run(scenario())
    assert paid == [(number, fate) for number in range(len(payees_raise))]
    assert reported == [f"defect {n}" for n, raises in enumerate(payees_raise) if raises]


def test_a_settled_batch_keeps_no_records() -> None:
    """A reply that waits behind others on its connection still refers to its batch."""

    async def scenario() -> None:
        batch = Batch([b"{}"], size_bytes=2)
        batch.settle(None)
        assert batch.payloads == []

    asyncio.run(scenario())


def test_without_a_defect_all_are_paid_in_one_turn() -> None:
    """The replies of a batch leave together."""
    paid: list[int] = []

    async def scenario() -> None:
        batch = Batch()
        for number in range(100):
            batch.owe(lambda _, number=number: paid.append(number))
        batch.settle(None)
        await asyncio.sleep(0)
        assert paid == list(range(100))

    asyncio.run(scenario())
