"""Brute force: what a guesser gets to try, on a virtual clock."""

from __future__ import annotations

from olympus.apollo.slowing import Slowing

DAY = 86_400.0


def tries(slowing, name, address, until):
    """How many a guesser gets who never waits longer than told."""
    now, made = 0.0, 0
    while now < until:
        wait = slowing.wait(name(made), address(made), now)
        if wait == 0:
            made += 1
        else:
            now += wait
    return made


def test_one_address_tries_one_name_a_hundred_times_a_day():
    assert 90 < tries(Slowing(), lambda _: "ann", lambda _: "a", DAY) < 130


def test_one_address_tries_many_names_no_more_often():
    assert tries(Slowing(), lambda n: f"u{n}", lambda _: "a", DAY) < 150


def test_many_addresses_try_one_name_at_most_every_ten_seconds_and_lock_nobody_out():
    slowing = Slowing()
    assert tries(slowing, lambda _: "ann", lambda n: f"a{n}", DAY) < DAY / 10 + 120
    assert slowing.wait("ann", "her own", DAY) <= 10


def test_a_burst_is_as_many_tries_as_it_has():
    slowing = Slowing()
    made = [slowing.wait("ann", "a", 0.0) for _ in range(1000)]
    assert made.count(0.0) == 5


def test_who_knows_the_password_is_not_slowed_afterwards():
    slowing = Slowing()
    for _ in range(4):
        assert slowing.wait("ann", "a", 0.0) == 0
    slowing.succeeded("ann", "a")
    for _ in range(5):
        assert slowing.wait("ann", "a", 1.0) == 0


def test_an_hour_later_all_is_forgotten_and_memory_is_bounded():
    slowing = Slowing()
    for _ in range(6):
        slowing.wait("ann", "a", 0.0)
    assert slowing.wait("ann", "a", 0.5) > 0
    assert slowing.wait("ann", "a", 3601.0) == 0
    for n in range(20_000):
        slowing.wait(f"u{n}", f"a{n}", 3601.0)
    assert len(slowing._tries) <= 10_000
