"""What is special about P2P for asyncio. All that both forms do is in test_forms.py."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from actors import aio
from core.errors import Misuse, NotActive, RequestTimedOut, StopFailed
from core.events import Event, MessageReceived, RemovePeer, RequestReceived
from tests.actors.fake_node import PEER, FakeNode, request_event
from tests.actors.forms import PATIENCE_S


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test in a loop of its own, with an end in any case."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await coroutine

    asyncio.run(bounded(), debug=True)


async def emit(p2p: aio.P2P, *events: Event) -> None:
    await p2p.request("fake/emit", pickle.dumps(list(events)))


def message(event: str) -> MessageReceived:
    return MessageReceived(peer_id=PEER, event=event, data=None)


def test_no_thread_is_started() -> None:
    async def main() -> None:
        before = threading.active_count()
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            await p2p.request("echo")
            assert threading.active_count() == before

    run(main())


def test_the_context_manager_stops_when_its_body_raises() -> None:
    async def main() -> None:
        p2p = aio.P2P(node_class=FakeNode, port=0)
        with pytest.raises(ZeroDivisionError):
            async with p2p:
                raise ZeroDivisionError
        assert not p2p.is_active
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_one_object_can_serve_one_loop_after_the_other() -> None:
    p2p = aio.P2P(node_class=FakeNode, port=0)

    async def main() -> None:
        async with p2p:
            assert (await p2p.request("echo", 1)).json() == 1

    run(main())
    run(main())


def test_it_needs_a_loop() -> None:
    with pytest.raises(RuntimeError, match="loop"):
        aio.P2P(node_class=FakeNode, port=0).start().send(None)


def test_the_number_of_handler_tasks_must_be_positive() -> None:
    with pytest.raises(Misuse, match="max_handler_tasks"):
        aio.P2P(max_handler_tasks=0)


def test_many_calls_at_once_get_their_own_answers() -> None:
    async def main() -> None:
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            answers = await asyncio.gather(*(p2p.request("echo", number) for number in range(500)))
            assert [answer.json() for answer in answers] == list(range(500))

    run(main())


def test_a_cancelled_call_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            call = asyncio.create_task(p2p.request("fake/silence", timeout_s=60))
            while "silence" not in (await p2p.request("fake/log")).json():
                pass
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await p2p.request("fake/speak")
            assert (await p2p.request("echo", 1)).json() == 1
            assert p2p.client_counters.late_answers_total == 1

    run(main())


def test_an_answer_that_comes_right_after_the_cancellation_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            for turns in range(12):
                call = asyncio.create_task(p2p.request("echo", 1))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
            assert (await p2p.request("echo", 1)).json() == 1

    run(main())
    assert "callback" not in caplog.text


def test_several_forgotten_requests_end_each_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.commands.BACKSTOP_S", 0.0)
    ended: list[float] = []

    async def main() -> None:
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:

            async def ask(timeout_s: float) -> None:
                with pytest.raises(RequestTimedOut, match=f"within {timeout_s:g} s"):
                    await p2p.request("fake/silence", timeout_s=timeout_s)
                ended.append(timeout_s)

            await asyncio.gather(ask(0.06), ask(0.02), ask(0.04))

    run(main())
    assert ended == [0.02, 0.04, 0.06]


def test_coroutine_handlers_run_side_by_side_up_to_their_number() -> None:
    async def main() -> None:
        running, most = 0, 0
        all_there, release = asyncio.Event(), asyncio.Event()
        names: list[str] = []

        async def handler(found: MessageReceived) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            names.append(found.event)
            if running == 3:
                all_there.set()
            await release.wait()
            running -= 1

        async with aio.P2P(node_class=FakeNode, port=0, max_handler_tasks=3) as p2p:
            p2p.on(MessageReceived, handler)
            await emit(p2p, *(message(str(number)) for number in range(10)))
            await all_there.wait()
            assert (await p2p.request("echo", 1)).json() == 1
            release.set()
            while len(names) < 10:
                await asyncio.sleep(0)
        assert most == 3
        assert names == [str(number) for number in range(10)]

    run(main())


def test_handlers_have_the_context_of_the_start() -> None:
    mood: contextvars.ContextVar[str] = contextvars.ContextVar("mood", default="none")

    async def main() -> None:
        seen: list[str] = []
        done = asyncio.Event()

        async def slow_handler(found: MessageReceived) -> None:
            seen.append(mood.get())
            mood.set("slow handler")
            await asyncio.sleep(0)
            if len(seen) == 8:
                done.set()

        mood.set("start")
        async with aio.P2P(node_class=FakeNode, port=0, max_handler_tasks=1) as p2p:
            p2p.on(MessageReceived, slow_handler)
            mood.set("caller")
            await emit(p2p, *(message(str(number)) for number in range(4)))
            async with asyncio.timeout(PATIENCE_S):
                while len(seen) < 4:
                    await asyncio.sleep(0)
                await asyncio.create_task(emit(p2p, *(message(str(number)) for number in range(4))))
                await done.wait()
        assert seen == ["start"] * 8

    run(main())


def test_handlers_leave_the_loop_to_others() -> None:
    async def main() -> None:
        handled = 0

        def handler(found: MessageReceived) -> None:
            nonlocal handled
            handled += 1

        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            p2p.on(MessageReceived, handler)
            await emit(p2p, *(message("e") for _ in range(5000)))
            turns = 0
            while handled < 5000:
                await asyncio.sleep(0)
                turns += 1
            assert turns >= 5000 // 64

    run(main())


def test_a_sender_that_never_waits_lets_the_node_work() -> None:
    async def main() -> None:
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            for number in range(5000):
                await p2p.send(str(number))
            log = (await p2p.request("fake/log")).json()
            assert sum(entry.startswith("SendMessage") for entry in log) == 5000

    run(main())


def test_stop_gives_handlers_the_rest_of_its_time_and_then_cancels_them() -> None:
    async def main() -> None:
        outcome: list[str] = []
        entered = asyncio.Event()

        async def stuck(event: RemovePeer) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                outcome.append("cancelled")
                raise

        p2p = aio.P2P(node_class=FakeNode, port=0)
        await p2p.start()
        p2p.on(RemovePeer, stuck)
        await emit(p2p, RemovePeer(peer_id=PEER, reason=""))
        await entered.wait()
        with pytest.raises(StopFailed, match=r"were cancelled: .*stuck"):
            await p2p.stop(0.05)
        assert outcome == ["cancelled"]
        assert not p2p.is_active
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_handlers_that_wait_for_the_node_end_when_it_stops() -> None:
    async def main() -> None:
        outcome: list[str] = []

        async def handler(event: RemovePeer) -> None:
            try:
                await p2p.request("fake/silence", timeout_s=60)
            except NotActive:
                outcome.append("told")

        p2p = aio.P2P(node_class=FakeNode, port=0)
        await p2p.start()
        p2p.on(RemovePeer, handler)
        await emit(p2p, RemovePeer(peer_id=PEER, reason=""))
        while "silence" not in (await p2p.request("fake/log")).json():
            pass
        await p2p.stop()
        assert outcome == ["told"]

    run(main())


def test_a_cancelled_stop_still_ends_everything() -> None:
    async def main() -> None:
        p2p = aio.P2P(node_class=FakeNode, port=0)
        await p2p.start()
        stopping = asyncio.create_task(p2p.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert not p2p.is_active
        await p2p.start()
        await p2p.stop()
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_a_cancelled_start_leaves_nothing_behind() -> None:
    async def main() -> None:
        p2p = aio.P2P(node_class=FakeNode, port=0)
        starting = asyncio.create_task(p2p.start())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not p2p.is_active
        assert len(asyncio.all_tasks()) == 1
        await p2p.start()
        await p2p.stop()

    run(main())


def test_events_in_an_async_for_loop() -> None:
    async def main() -> None:
        async with aio.P2P(node_class=FakeNode, port=0) as p2p:
            async with p2p.events(RequestReceived) as requests:
                await emit(p2p, request_event("a", call_id=1), request_event("b", call_id=2))
                async for request in requests:
                    request.end(request.procedure)
                    if request.procedure == "b":
                        break
            replies = (await p2p.request("fake/replies")).json()
            assert replies == [[1, "answer", '"a"'], [2, "answer", '"b"']]

    run(main())
