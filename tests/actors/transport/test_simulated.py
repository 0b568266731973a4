"""The simulated network, as programs meet it: against the port's promises and the manners of TCP."""

from __future__ import annotations

import errno
import selectors
from collections.abc import Iterator

import pytest

from actors.bases.sim_environment import StreamSeeds, derive_rng
from actors.bases.sim_kernel import VirtualKernel
from actors.bases.sim_time import EventHeap, VirtualClock
from actors.bases.sim_trace import Names
from actors.transport.handover import HandOver
from actors.transport.port import ListenSocket, Network, StreamSocket
from actors.transport.sim_links import Constant, Distribution, Links, LogNormal, Uniform
from actors.transport.sim_sockets import SimListener, SimStream
from actors.transport.sim_tcp import APART_S, End
from actors.transport.simulated import Internet, SimNetwork
from core.ids import Endpoint

LATENCY_S = 0.25
BUFFER_BYTES = 1000
ANN, BEN = "20.0.0.1", "20.1.0.1"
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class World:
    """Two hosts, a clock, and no actors."""

    def __init__(self, links: Links | None = None, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.events = EventHeap(self.clock, derive_rng(seed, "lots"), lambda cell, message: None)
        self.kernel = VirtualKernel()
        self.notes: list[str] = []
        links = links or Links(Constant(LATENCY_S), buffer_bytes=BUFFER_BYTES)
        self.internet = Internet(self.clock, self.events, self.kernel, links, StreamSeeds(seed), self.notes.append)
        self.ann = self.internet.add_host("ann", [ANN])
        self.ben = self.internet.add_host("ben", [BEN])

    def run(self, seconds: float = 10.0) -> None:
        end = self.clock.now + seconds
        while (due := self.events.next_due) is not None and due <= end:
            self.events.run_next()
        self.clock.now = end

    def connect(self) -> tuple[End, SimStream, SimListener]:
        """The opener's stream at ann, the listener's at ben, and the listener."""
        listener = self.ben.listen("0.0.0.0", 5001, 8)
        opener = self.ann.connect(Endpoint(BEN, 5001))
        self.run()
        accepted = listener.accept()
        assert accepted is not None
        return opener, accepted, listener


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.run(100.0)
    assert len(world.events) == 0, "something goes on for ever"


def arrival_times(world: World, stream: End | SimStream, count: int) -> list[float]:
    """When each of ``count`` further pieces can be read."""
    times = []
    while len(times) < count:
        assert world.events.run_next()
        try:
            if stream.recv(1 << 20):
                times.append(world.clock.now)
        except BlockingIOError:
            continue
    return times


def test_it_is_the_port(world: World) -> None:
    opener, _, listener = world.connect()
    streams: StreamSocket = opener
    listens: ListenSocket = listener
    network: Network = world.ann
    assert (streams.remote_ip, streams.remote_port) == (BEN, 5001)
    assert listens.endpoint == Endpoint("0.0.0.0", 5001)
    assert listens.exhausted is False
    assert network is world.ann


def test_connecting_takes_a_round_trip(world: World) -> None:
    listener = world.ben.listen(BEN, 5001, 8)
    stream = world.ann.connect(Endpoint(BEN, 5001))
    assert stream.readiness() == 0
    with pytest.raises(BlockingIOError):
        stream.send(b"early")
    world.run(LATENCY_S)
    assert listener.readiness() == READ
    accepted = listener.accept()
    assert accepted is not None
    assert accepted.remote_ip == ANN
    assert listener.accept() is None
    assert stream.readiness() == 0
    world.run(LATENCY_S)
    assert stream.readiness() == WRITE
    assert stream.connect_error() is None


@pytest.mark.parametrize("ip", [BEN, ANN, "127.0.0.1"])
def test_nobody_listening_refuses(world: World, ip: str) -> None:
    stream = world.ann.connect(Endpoint(ip, 5001))
    world.run()
    assert stream.readiness() == READ | WRITE
    error = stream.connect_error()
    assert error is not None
    assert error.errno == errno.ECONNREFUSED
    assert stream.connect_error() is None, "told once"
    stream.close()


def test_an_address_of_nobody_never_answers(world: World) -> None:
    stream = world.ann.connect(Endpoint("99.9.9.9", 5001))
    world.run(1000.0)
    assert stream.readiness() == 0
    stream.shutdown()
    stream.close()


def test_a_family_without_an_own_address_has_no_route(world: World) -> None:
    with pytest.raises(OSError, match="unreachable"):
        world.ann.connect(Endpoint("2a00::1", 5001))
    world.internet.add_host("six", ["2a00::1"]).listen("::", 5001, 1)
    both = world.internet.add_host("both", ["20.9.0.1", "2A00:0::2"])
    stream = both.connect(Endpoint("2a00::1", 5001))
    world.run()
    assert stream.readiness() == WRITE


@pytest.mark.parametrize("bound", [ANN, "0.0.0.0", "::", "127.0.0.1"])
def test_a_host_reaches_itself_over_loopback(world: World, bound: str) -> None:
    listener = world.ann.listen(bound, 5001, 8)
    target = ANN if bound == ANN else "127.0.0.1"
    stream = world.ann.connect(Endpoint(target, 5001))
    world.run(0.0)
    accepted = listener.accept()
    assert accepted is not None
    assert accepted.remote_ip == target
    assert stream.readiness() == WRITE


def test_listening_wants_an_own_address_and_a_free_port(world: World) -> None:
    first = world.ann.listen("0.0.0.0", 5001, 8)
    for ip in ("0.0.0.0", ANN, "::"):
        with pytest.raises(OSError, match="in use"):
            world.ann.listen(ip, 5001, 8)
    with pytest.raises(OSError, match="assign"):
        world.ann.listen(BEN, 5001, 8)
    with pytest.raises(ValueError, match="does not appear"):
        world.ann.listen("localhost", 5001, 8)
    world.ben.listen("0.0.0.0", 5001, 8)
    chosen = {world.ann.listen(ANN, 0, 8).endpoint.port for _ in range(3)}
    assert len(chosen) == 3
    assert 0 not in chosen
    first.close()
    first.close()
    assert first.fileno() == -1
    world.ann.listen("0.0.0.0", 5001, 8)
    with pytest.raises(OSError, match="descriptor"):
        first.accept()


def test_a_full_backlog_lets_openers_wait(world: World) -> None:
    listener = world.ben.listen(BEN, 5001, 2)
    streams = [world.ann.connect(Endpoint(BEN, 5001)) for _ in range(3)]
    world.run()
    assert sorted(stream.readiness() for stream in streams) == [0, WRITE, WRITE]
    listener.close()
    world.run()
    states = [getattr(stream.connect_error(), "errno", None) for stream in streams]
    assert sorted(states, key=str) == [errno.ECONNRESET, errno.ECONNRESET, None], "closing resets who was waiting"


def test_bytes_arrive_in_order_one_latency_later(world: World) -> None:
    opener, accepted, _ = world.connect()
    assert opener.send(b"one ") == 4
    assert opener.send(memoryview(b"two")) == 3
    with pytest.raises(BlockingIOError):
        accepted.recv(100)
    world.run(LATENCY_S + 2 * APART_S)  # never two at one instant
    assert accepted.readiness() == READ | WRITE
    assert accepted.recv(5) == b"one t"
    assert accepted.recv(5) == b"wo"
    with pytest.raises(BlockingIOError):
        accepted.recv(5)
    assert accepted.readiness() == WRITE


def test_a_reader_that_does_not_read_stops_the_sender(world: World) -> None:
    opener, accepted, _ = world.connect()
    assert opener.send(bytes(800)) == 800
    assert opener.send(bytes(800)) == 200
    assert opener.readiness() == 0
    with pytest.raises(BlockingIOError):
        opener.send(b"x")
    world.run()
    assert len(accepted.recv(600)) == 600
    assert opener.readiness() == 0
    world.run(LATENCY_S)
    assert opener.readiness() == WRITE, "the sender hears of it a latency later"
    assert opener.send(bytes(700)) == 600
    world.run()
    assert len(accepted.recv(10_000)) == 1000


def test_a_close_is_an_end_of_the_stream(world: World) -> None:
    opener, accepted, _ = world.connect()
    opener.send(b"bye")
    opener.shutdown()
    opener.close()
    opener.close()
    assert opener.fileno() == -1
    with pytest.raises(OSError, match="descriptor"):
        opener.recv(1)
    world.run()
    assert accepted.recv(100) == b"bye"
    assert accepted.recv(100) == b""
    assert accepted.recv(100) == b""
    assert accepted.readiness() & READ


def test_sending_to_a_closed_connection_is_answered_by_a_reset(world: World) -> None:
    opener, accepted, _ = world.connect()
    opener.close()
    world.run()
    assert accepted.send(b"are you there?") == 14
    world.run()
    with pytest.raises(ConnectionResetError):
        accepted.recv(1)
    assert accepted.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        accepted.send(b"x")


def test_closing_over_unread_bytes_resets(world: World) -> None:
    opener, accepted, _ = world.connect()
    opener.send(b"never read")
    accepted.send(b"answer")
    world.run()
    accepted.close()
    world.run()
    assert opener.recv(100) == b"answer", "what had arrived can still be read"
    with pytest.raises(ConnectionResetError):
        opener.recv(100)


def test_shutdown_ends_both_directions_for_every_copy(world: World) -> None:
    opener, accepted, _ = world.connect()
    copy = world.ben.adopt(HandOver(token=1, fd=accepted.fileno(), remote_ip=ANN, remote_port=accepted.remote_port))
    copy.shutdown()
    assert accepted.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        accepted.send(b"x")
    world.run()
    assert opener.recv(10) == b""


def test_a_connection_lives_as_long_as_one_copy(world: World) -> None:
    opener, accepted, _ = world.connect()
    copy = world.ben.adopt(HandOver(token=1, fd=accepted.fileno(), remote_ip=ANN, remote_port=accepted.remote_port))
    assert copy.fileno() != accepted.fileno()
    accepted.close()
    opener.send(b"still there?")
    world.run()
    assert copy.recv(100) == b"still there?"
    copy.close()
    world.run()
    assert opener.recv(100) == b""


def test_only_what_was_handed_over_can_be_adopted(world: World) -> None:
    opener, accepted, listener = world.connect()
    good = HandOver(token=1, fd=accepted.fileno(), remote_ip=ANN, remote_port=accepted.remote_port)
    with pytest.raises(OSError, match="gone"):
        world.ben.adopt(HandOver(token=1, fd=accepted.fileno(), remote_ip=ANN, remote_port=1))
    for fd in (opener.fileno(), listener.fileno(), 12345):
        with pytest.raises(OSError, match="descriptor"):
            world.ben.adopt(HandOver(token=1, fd=fd, remote_ip=ANN, remote_port=accepted.remote_port))
    with pytest.raises(OSError, match="descriptor"):
        world.ben.adopt(good, received_fd=7)
    accepted.close()
    with pytest.raises(OSError, match="descriptor"):
        world.ben.adopt(good)


def test_readiness_reaches_the_selector(world: World) -> None:
    opener, accepted, _ = world.connect()
    world.kernel.register(accepted.fileno(), READ, "ben")
    world.kernel.register(opener.fileno(), WRITE, "ann")
    assert [(key.data, mask) for key, mask in world.kernel.select()] == [("ann", WRITE)]
    opener.send(b"x")
    world.run()
    for _ in range(2):  # level-triggered
        assert sorted((key.data, mask) for key, mask in world.kernel.select()) == [("ann", WRITE), ("ben", READ)]
    accepted.recv(10)
    assert [key.data for key, _ in world.kernel.select()] == ["ann"]


# ---- links -------------------------------------------------------------------------------------------------------


def test_jitter_never_reorders() -> None:
    world = World(Links(Constant(0.1), Uniform(0.0, 0.5)))
    opener, accepted, _ = world.connect()
    sent = [b"%d," % number for number in range(200)]
    for piece in sent:
        opener.send(piece)
        world.run(0.01)
    world.run()
    assert accepted.recv(1 << 16) == b"".join(sent)


def test_jitter_is_drawn_for_each_packet() -> None:
    world = World(Links(Constant(0.1), Uniform(0.0, 0.5)))
    opener, accepted, _ = world.connect()
    delays = []
    for _ in range(50):
        began = world.clock.now
        opener.send(b"x")
        (arrived,) = arrival_times(world, accepted, 1)
        delays.append(arrived - began)
    assert 0.1 <= min(delays) < 0.15
    assert 0.55 < max(delays) <= 0.6 + 1e-5


def test_bandwidth_is_shared_by_the_connections_of_a_link() -> None:
    world = World(Links(Constant(0.1), bandwidth_bytes_per_s=1000.0))
    first, second, _ = world.connect()
    began = world.clock.now
    first.send(bytes(500))
    first.send(bytes(500))
    assert [time - began for time in arrival_times(world, second, 2)] == pytest.approx([0.6, 1.1], abs=1e-5)
    began = world.clock.now
    second.send(bytes(100))
    assert [time - began for time in arrival_times(world, first, 1)] == pytest.approx([0.2], abs=1e-5), "each way"


@pytest.mark.parametrize(
    ("distribution", "low", "high", "median"),
    [(Constant(0.1), 0.1, 0.1, 0.1), (Uniform(0.1, 0.3), 0.1, 0.3, 0.2), (LogNormal(0.1, 0.5), 0.005, 2.0, 0.1)],
)
def test_distributions(distribution: Distribution, low: float, high: float, median: float) -> None:
    rng = derive_rng(1, "test")
    drawn = sorted(distribution.draw(rng) for _ in range(4000))
    assert low <= drawn[0]
    assert drawn[-1] <= high
    assert drawn[2000] == pytest.approx(median, rel=0.04)


def test_the_log_normal_has_its_tail() -> None:
    rng = derive_rng(2, "test")
    drawn = sorted(LogNormal(1.0, 0.5).draw(rng) for _ in range(10_000))
    assert drawn[9500] == pytest.approx(2.276, rel=0.05)  # exp(0.5 * 1.645)
    assert drawn[500] == pytest.approx(1 / 2.276, rel=0.05)


def test_a_pair_draws_once_and_both_ways_alike() -> None:
    table = World(Links(Uniform(0.0, 1.0))).internet.links
    assert table.latency_s("ann", "ben") == table.latency_s("ben", "ann") != table.latency_s("ann", "carl")
    assert table.latency_s("ann", "ann") == 0.0
    again = World(Links(Uniform(0.0, 1.0))).internet.links
    assert again.latency_s("ben", "ann") == table.latency_s("ann", "ben")
    other = World(Links(Uniform(0.0, 1.0)), seed=2).internet.links
    assert other.latency_s("ben", "ann") != table.latency_s("ann", "ben")


def test_latency_may_be_a_function() -> None:
    table = World(Links(lambda one, other: 0.1 if one < other else 0.3)).internet.links
    assert (table.latency_s("ann", "ben"), table.latency_s("ben", "ann")) == (0.1, 0.3)
    with pytest.raises(ValueError, match="from ann to ben"):
        World(Links(lambda one, other: -1.0)).internet.links.latency_s("ann", "ben")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Constant(-1.0),
        lambda: Uniform(2.0, 1.0),
        lambda: LogNormal(float("nan")),
        lambda: Links(bandwidth_bytes_per_s=0.0),
        lambda: Links(buffer_bytes=0),
        lambda: Links(loopback_s=-1.0),
    ],
)
def test_nonsense_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong()  # type: ignore[operator]


# ---- hosts and partitions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ips", "why"),
    [
        ("ann", ["20.5.0.1"], "called 'ann' already"),
        ("carl", [BEN], "belongs to 'ben'"),
        ("carl", ["127.0.0.1"], "others can dial"),
        ("carl", [], "one address or more"),
        ("carl", ["somewhere"], "does not appear"),
    ],
)
def test_hosts_have_names_and_addresses_of_their_own(world: World, name: str, ips: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        world.internet.add_host(name, ips)


def test_a_crash_resets_and_frees_the_port(world: World) -> None:
    opener, accepted, _ = world.connect()
    waiting = world.ann.connect(Endpoint(BEN, 5001))
    world.run()
    world.internet.crash("ben")
    assert accepted.fileno() == -1
    world.run()
    for stream in (opener, waiting):
        with pytest.raises(ConnectionResetError):
            stream.recv(1)
    world.ben.listen("0.0.0.0", 5001, 8)


def test_a_power_cut_says_nothing_until_the_power_is_back(world: World) -> None:
    opener, _, _ = world.connect()
    world.internet.crash("ben", silent=True)
    opener.send(b"hello?")
    dialling = world.ann.connect(Endpoint(BEN, 5001))
    world.run(1000.0)
    assert opener.readiness() == WRITE
    assert dialling.readiness() == 0
    world.internet.power_on("ben")
    opener.send(b"hello?")
    world.run()
    with pytest.raises(ConnectionResetError):
        opener.recv(1)


def test_a_partition_holds_packets_and_healing_lets_them_through(world: World) -> None:
    opener, accepted, listener = world.connect()
    world.internet.partition([["ann"], ["ben"]])
    opener.send(b"one")
    accepted.send(b"two")
    dialling = world.ann.connect(Endpoint(BEN, 5001))
    world.run(50.0)
    opener.send(b" and more")
    opener.close()
    world.run(50.0)
    assert accepted.readiness() == WRITE
    assert dialling.readiness() == 0
    world.internet.heal()
    world.run(LATENCY_S)
    assert accepted.recv(100) == b"one and more"
    assert accepted.recv(100) == b""
    assert listener.accept() is not None
    world.run(LATENCY_S)
    assert dialling.readiness() == WRITE


def test_a_partition_cuts_only_between_groups(world: World) -> None:
    carl = world.internet.add_host("carl", ["20.2.0.1"])
    opener, accepted, _ = world.connect()
    world.internet.partition([["ann", "ben"]])
    opener.send(b"inside")
    outside = carl.connect(Endpoint(BEN, 5001))
    world.run()
    assert accepted.recv(100) == b"inside"
    assert outside.readiness() == 0
    world.internet.partition([["ann"], ["ben", "carl"]])
    world.run()
    assert outside.readiness() == WRITE, "a new partition lets through what it does not separate"


def test_a_partition_can_reset(world: World) -> None:
    opener, accepted, _ = world.connect()
    world.internet.partition([["ann"]], reset=True)
    for stream in (opener, accepted):
        with pytest.raises(ConnectionResetError):
            stream.recv(1)
    world.internet.heal()


@pytest.mark.parametrize("groups", [[["nobody"]], [["ann"], ["ann"]]])
def test_a_partition_of_strangers_is_refused(world: World, groups: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"nobody|two groups"):
        world.internet.partition(groups)


def test_everything_is_noted(world: World) -> None:
    opener, accepted, _ = world.connect()
    opener.send(b"12345")
    world.run()
    accepted.recv(5)
    accepted.close()
    world.run()
    port = accepted.remote_port
    assert world.notes == [
        f"net {opener.fileno()} is net ann:{port} > ben:5001",
        f"net ann:{port} > ben:5001 syn",
        f"net ben:5001 > ann:{port} accepted",
        f"net {opener.fileno()} 5 bytes",
        f"net ben:5001 > ann:{port} fin",
    ]
    names = Names()
    names.learn(world.notes)
    assert names.read(world.notes[3]) == f"net ann:{port} > ben:5001 5 bytes"


def test_an_end_knows_its_address_when_the_other_is_closed(world: World) -> None:
    opener, accepted, _ = world.connect()
    own = (ANN, accepted.remote_port)
    assert opener.local == own
    accepted.close()
    world.run()
    assert opener.local == own
    opener.close()
    world.run()
    assert world.notes[-1] == f"net ann:{own[1]} > ben:5001 fin"


def test_who_has_taken_a_connection_over_is_a_number_from_then_on(world: World) -> None:
    opener, accepted, _ = world.connect()
    name = f"net ben:5001 > ann:{accepted.remote_port}"
    accepted.send(b"12")
    port = accepted.remote_port
    adopted = world.ben.adopt(HandOver(token=1, fd=accepted.fileno(), remote_ip=ANN, remote_port=port))
    accepted.close()
    adopted.send(b"345")
    world.run()
    fd = adopted.fileno()
    assert world.notes[-3:] == [f"net {fd} is {name}", f"net {fd} 2 bytes", f"net {fd} 3 bytes"]
    assert opener.recv(10) == b"12345"


def test_an_endless_dialler_does_not_run_out_of_ports(world: World) -> None:
    network: SimNetwork = world.ann
    ports = [network.host.free_port(ANN) for _ in range(30_000)]
    assert min(ports) == 32_768
    assert max(ports) == 60_999
