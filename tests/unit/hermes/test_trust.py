"""Whom a node believes: by published and by pinned keys; what nodes may tell."""

from __future__ import annotations

import asyncio
import base64
import stat
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Put
from olympus.hermes.trust import PINS, Author, Trust, read_pins
from olympus.host.signing_ed25519 import PrivateKey, PublicKey
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import Invalid, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.testing.trust import author_of, trust_of


def told(type_, by=None, /, **data):
    return Event(new_id(), type_, "test", datetime.now(UTC), data, node=by)


class TestKeys:
    def test_a_key_is_made_once_for_its_owner_alone(self, tmp_path):
        first = PrivateKey.load_or_make(tmp_path / "controller.key")
        assert stat.S_IMODE((tmp_path / "controller.key").stat().st_mode) == 0o600
        again = PrivateKey.load_or_make(tmp_path / "controller.key")
        assert again.public.text == first.public.text
        assert first.public.signed(b"said", again.sign(b"said"))

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
    def test_a_key_that_others_may_read_is_not_used(self, tmp_path, mode):
        file = tmp_path / "controller.key"
        PrivateKey.load_or_make(file)
        file.chmod(mode)
        with pytest.raises(Refused, match="chmod 600"):
            PrivateKey.load_or_make(file)

    @pytest.mark.parametrize(
        "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\x00" * 99]
    )
    def test_what_is_no_key_is_never_replaced_silently(self, tmp_path, content):
        file = tmp_path / "controller.key"
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(Invalid, match="no private key"):
            PrivateKey.load_or_make(file)
        assert file.read_bytes() == content

    def test_a_key_behind_a_symbolic_link_is_not_used(self, tmp_path):
        PrivateKey.load_or_make(tmp_path / "elsewhere")
        (tmp_path / "controller.key").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="symbolic"):
            PrivateKey.load_or_make(tmp_path / "controller.key")

    @given(st.binary(max_size=200), st.data())
    def test_no_bit_of_what_was_signed_can_be_changed(self, tmp_path_factory, message, data):
        key = PrivateKey.load_or_make(tmp_path_factory.getbasetemp() / "signing.key")
        mark = base64.b64decode(key.sign(message))
        both = message + mark
        at, bit = data.draw(st.integers(0, len(both) - 1)), data.draw(st.integers(0, 7))
        changed = both[:at] + bytes([both[at] ^ (1 << bit)]) + both[at + 1 :]
        forged = base64.b64encode(changed[len(message) :]).decode()
        assert not key.public.signed(changed[: len(message)], forged)

    @pytest.mark.parametrize("mark", ["", "!", "AAAA", "A" * 88, "ä" * 88])
    def test_what_is_no_signature_is_none(self, tmp_path, mark):
        assert not PrivateKey.load_or_make(tmp_path / "k").public.signed(b"said", mark)

    @pytest.mark.parametrize("text", ["", "AAAA", "not base64", base64.b64encode(b"x" * 31).decode()])
    def test_what_is_no_public_key_is_refused(self, text):
        with pytest.raises(Invalid, match="32 bytes"):
            PublicKey(text)


class TestTrust:
    async def test_every_node_believes_a_published_controller(self, kv, tmp_path):
        author = author_of(tmp_path, "c1")
        node = await trust_of(kv)
        controller = await trust_of(kv, author)
        mark = author.sign("order", b"said")
        assert await node.objection("order", b"said", mark) is None, "its watch has not told it yet"
        assert await controller.objection("order", b"said", mark) is None

    async def test_what_is_not_said_so_is_refused_with_its_reason(self, kv, tmp_path):
        author, stranger = author_of(tmp_path, "c1"), author_of(tmp_path, "c2")
        node, mark = await trust_of(kv, author), author.sign("order", b"said")
        assert await node.objection("order", b"said", None) == "it is not signed"
        assert await node.objection("order", b"said", "") == "it is not signed"
        assert "who is no controller of" in (
            await node.objection("order", b"said", stranger.sign("order", b"said"))
        )
        assert "it was altered" in (await node.objection("order", b"Said", mark))
        assert "it was altered" in (await node.objection("desired", b"said", mark)), (
            "signed as something else"
        )
        assert "it was altered" in (await node.objection("order", b"said", mark.replace("c1:", "c1:A")))
        forged = f"c1:{stranger.key.sign(b'olympus order 1' + bytes([10]) + b'said')}"
        assert "another key" in (await node.objection("order", b"said", forged))

    async def test_a_key_that_was_replaced_counts_no_more(self, kv, tmp_path):
        old = author_of(tmp_path, "c1")
        node = await trust_of(kv, old)
        plain = await trust_of(kv)
        (tmp_path / "c1.key").unlink()
        new = author_of(tmp_path, "c1")
        await trust_of(kv, new)
        for believer in (plain, node):
            assert await believer.objection("order", b"said", new.sign("order", b"said")) is None
            assert "another key" in (await believer.objection("order", b"said", old.sign("order", b"said")))

    async def test_a_controller_that_was_removed_is_believed_no_more_as_soon_as_it_is_told(
        self, kv, tmp_path
    ):
        author = author_of(tmp_path, "c1")
        await trust_of(kv, author)
        node = await trust_of(kv)
        running = asyncio.create_task(node.run())
        await kv.transact([Delete(keys.controller("c1"))])
        async with asyncio.timeout(10):
            await node.changed({"c1": author.key.public.text})
        assert "no controller of" in (await node.objection("order", b"said", author.sign("order", b"said")))
        running.cancel()

    async def test_garbage_among_the_keys_stops_nobody(self, kv, tmp_path):
        author = author_of(tmp_path, "c1")
        garbage = (b"", b"{}", b"[1]", b'{"key": 5}', b'{"key": "AAAA"}', b"\xff")
        await kv.transact([Put(keys.controller(f"x{i}"), raw) for i, raw in enumerate(garbage)])
        node = await trust_of(kv, author)
        assert set(node.signers()) == {"c1"}
        assert await node.objection("order", b"said", author.sign("order", b"said")) is None

    async def test_an_unchanged_key_is_not_written_again(self, kv, tmp_path):
        author = author_of(tmp_path, "c1")
        await trust_of(kv, author)
        before = (await kv.get(keys.controller("c1"))).version
        await trust_of(kv, author)
        assert (await kv.get(keys.controller("c1"))).version == before


class TestPins:
    def pinned(self, tmp_path, *authors: Author):
        file = tmp_path / PINS
        file.write_text("# who leads\n\n" + "".join(f"{author.line}  # one\n" for author in authors))
        file.chmod(0o644)
        return read_pins(file)

    async def test_only_pinned_controllers_count_whatever_lies_in_hermes(self, kv, tmp_path):
        mine, intruder = author_of(tmp_path, "c1"), author_of(tmp_path, "evil")
        await trust_of(kv, intruder)
        await kv.transact([Put(keys.controller("c1"), orjson.dumps({"key": intruder.key.public.text}))])
        node = Trust(kv, pinned=self.pinned(tmp_path, mine))
        await node.begin()
        assert await node.objection("order", b"said", mine.sign("order", b"said")) is None
        assert PINS in (await node.objection("order", b"said", intruder.sign("order", b"said")))
        as_c1 = Author("c1", intruder.key)
        assert "another key" in (await node.objection("order", b"said", as_c1.sign("order", b"said")))
        assert await node.heard("evil", (told("olympus.chronos.fired"),)) == ()

    async def test_a_controller_that_no_node_would_obey_does_not_start(self, kv, tmp_path):
        mine, other = author_of(tmp_path, "c1"), author_of(tmp_path, "c2")
        trust = Trust(kv, author=other, pinned=self.pinned(tmp_path, mine))
        with pytest.raises(Refused) as refused:
            await trust.begin()
        assert other.line in str(refused.value)
        assert await kv.get(keys.controller("c2")) is None

    def test_without_a_file_nothing_is_pinned(self, tmp_path):
        assert read_pins(tmp_path / PINS) is None

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "names no controller"),
            ("# none\n", "names no controller"),
            ("c1\n", ":1: write"),
            ("c1 AAAA", "32 bytes"),
        ],
    )
    def test_a_file_of_pins_that_says_nothing_is_an_error(self, tmp_path, text, why):
        file = tmp_path / PINS
        file.write_text(text)
        file.chmod(0o644)
        with pytest.raises(Invalid, match=why):
            read_pins(file)

    def test_a_file_of_pins_that_others_may_write_is_refused(self, tmp_path):
        (tmp_path / PINS).write_text("c1 AAAA")
        (tmp_path / PINS).chmod(0o666)
        with pytest.raises(Refused, match="chmod go-w"):
            read_pins(tmp_path / PINS)


OF_ITSELF = [
    told("olympus.hephaestus.order-finished", "n1", node="n1", order="r.s.n1.1"),
    told("olympus.zeus.service-failed", "n1", node="n1", service="web"),
    told("olympus.zeus.healed", "n1", service="web"),
    told("olympus.zeus.desired-refused", "n1", node="n1"),
    told("olympus.argos.match", "n1", watch="w"),
]
OF_OTHERS = [
    told("olympus.hephaestus.order-finished", "n2", node="n2", order="r.s.n2.1"),
    told("olympus.hephaestus.order-finished", "n1", node="n2", order="r.s.n2.1"),
    told("olympus.hephaestus.order-finished", None, node="n1", order="r.s.n1.1"),
    told("olympus.hephaestus.run-requested", "n1", run="r"),
    told("olympus.hephaestus.approval-given", "n1", run="r", step="ask", role="admin"),
    told("olympus.hephaestus.cancel-requested", "n1", run="r"),
    told("olympus.hephaestus.run-finished", "n1", run="r", state="succeeded"),
    told("olympus.zeus.node-lost", "n1", node="n1"),
    told("olympus.zeus.node-lost", "n2", node="n2"),
    told("olympus.zeus.applied", "n1", revision="r"),
    told("olympus.chronos.fired", "n1", schedule="s"),
    told("olympus.apollo.webhook-received", "n1"),
    told("shop.attacked", "n1", ip="203.0.113.7"),
]


class TestEvents:
    async def test_a_node_is_heard_about_itself_alone(self, kv, tmp_path):
        trust = await trust_of(kv, author_of(tmp_path, "c1"))
        assert await trust.heard("n1", (*OF_OTHERS, *OF_ITSELF, *OF_OTHERS)) == tuple(OF_ITSELF)
        assert await trust.heard("n1", tuple(OF_OTHERS)) == ()
        assert await trust.heard("c1", tuple(OF_OTHERS)) == tuple(OF_OTHERS)

    async def test_a_controller_is_heard_before_the_watch_has_told_of_it(self, kv, tmp_path):
        node = await trust_of(kv)
        await trust_of(kv, author_of(tmp_path, "c2"))
        assert await node.heard("c2", tuple(OF_OTHERS)) == tuple(OF_OTHERS)

    async def test_what_a_node_forges_reaches_neither_subscribers_nor_history(self, kv, tmp_path):
        trust = await trust_of(kv, author_of(tmp_path, "c1"))
        rogue = Bus(kv, "n1", clock=SystemClock())
        reader = Bus(kv, "c1", clock=SystemClock(), heard=trust.heard)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            tasks = [group.create_task(bus.run()) for bus in (rogue, reader)]
            batches = reader.subscribe(await reader.now())
            await rogue.publish(OF_OTHERS)
            await rogue.publish([*OF_OTHERS[:3], *OF_ITSELF])
            assert [event.id for event in (await anext(batches)).events] == [event.id for event in OF_ITSELF]
            found, _ = await reader.history(newest_first=False)
            assert {event.id for event in found} == {event.id for event in OF_ITSELF}
            assert await reader.find(OF_OTHERS[3].id) is None
            assert await reader.find(OF_ITSELF[0].id) is not None
            for task in tasks:
                task.cancel()
