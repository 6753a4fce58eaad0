"""The outbox: what is not committed does not leave, what has not arrived stays."""

from __future__ import annotations

from pipelines.outbox import Outbox


def test_only_what_is_committed_may_leave_and_only_what_arrived_is_forgotten() -> None:
    box = Outbox()
    box.put(b"a\n")
    box.put(b"b\n")
    assert box.deliverable(9) == [] and box.uncommitted == 2
    assert box.arrived(2) == 0, "nothing that is not committed can have arrived"
    box.commit()
    box.put(b"c\n")
    assert box.deliverable(1) == [(0, b"a\n")]
    assert box.deliverable(9) == [(0, b"a\n"), (1, b"b\n")]
    assert box.arrived(1) == 1 and box.waiting() == [b"b\n", b"c\n"] and box.n_bytes == 4
    assert box.arrived(99) == 1 and len(box) == 1


def test_it_goes_on_with_the_numbers_of_a_generation() -> None:
    box = Outbox(7, [b"x\n", b"y\n"])
    assert box.deliverable(9) == [(5, b"x\n"), (6, b"y\n")] and box.next_number == 7
    box.put(b"z\n")
    assert [n for n, _ in box.deliverable(9)] == [5, 6] and box.n_bytes == 6


def test_R14_numbers_do_not_wrap() -> None:
    for first in (2**31, 2**53, 2**63):
        box = Outbox(first)
        box.put(b"x\n")
        box.commit()
        assert box.deliverable(1) == [(first, b"x\n")] and box.arrived(first + 1) == 1
        assert box.next_number == first + 1
