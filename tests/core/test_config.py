"""The schema of the configuration: defaults, checks, messages, immutability."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import (
    FrozenDict,
    NodeConfig,
    NodeInfoConfig,
    Problem,
    dotted,
    flatten,
    freeze,
    options,
    relations,
    suggestion,
    thaw,
)
from core.config.frozen import MAX_DEPTH
from core.errors import ConfigError
from core.ids import Endpoint
from core.seeds import SeedName

LISK_DEFAULTS = {
    # lisk-p2p 0.10's constants, in its own units (milliseconds).
    "hostIp": "0.0.0.0",
    "connectTimeout": 2000,
    "ackTimeout": 2000,
    "populatorInterval": 10000,
    "fallbackSeedPeerDiscoveryInterval": 30000,
    "maxOutboundConnections": 20,
    "maxInboundConnections": 100,
    "wsMaxPayload": 3048576,
    "peerBanTime": 86400000,
    "sendPeerLimit": 16,
    "outboundShuffleInterval": 300000,
    "netgroupProtectionRatio": 0.034,
    "latencyProtectionRatio": 0.068,
    "productivityProtectionRatio": 0.068,
    "longevityProtectionRatio": 0.5,
    "wsMaxMessageRate": 100,
    "wsMaxMessageRatePenalty": 10,
    "rateCalculationInterval": 1000,
    "peerStatusMessageRate": 4,
    "minimumPeerDiscoveryThreshold": 100,
    "maxPeerDiscoveryResponseLength": 200,
    "maxPeerInfoSize": 20480,
}

LISK_WITHOUT_CONSTANT = {
    "port", "nodeInfo", "seedPeers", "fixedPeers", "whitelistedPeers", "previousPeers", "blacklistedIPs", "secret",
    "peerSelectionForSend", "peerSelectionForRequest", "peerSelectionForConnection", "peerHandshakeCheck",
    "customNodeInfoSchema",
}  # fmt: skip


def problems_of(mapping: dict[Any, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        NodeConfig.from_mapping(mapping)
    return caught.value.problems


def test_every_option_of_lisk_p2p_0_10_exists() -> None:
    ours = {document.lisk_name.partition(".")[0] for document in options()} - {""}
    assert ours == set(LISK_DEFAULTS) | LISK_WITHOUT_CONSTANT


@pytest.mark.parametrize(("lisk_name", "value"), LISK_DEFAULTS.items())
def test_defaults_are_those_of_lisk_p2p(lisk_name: str, value: Any) -> None:
    (document,) = [document for document in options() if document.lisk_name == lisk_name]
    scale = 1000 if document.unit == "s" else 1
    assert flatten(NodeConfig())[document.name] == document.default
    assert document.default * scale == value if scale == 1000 else document.default == value


def test_units_are_in_names() -> None:
    suffixes = {"s": "_s", "bytes": "_bytes", "ratio": "_ratio", "packets/s": "_per_s", "messages/10 s": "_per_10s"}
    for document in options():
        if document.unit in suffixes:
            assert document.name.endswith(suffixes[document.unit]), document.name


def test_every_option_is_described() -> None:
    for document in options():
        assert document.description.endswith("."), document.name
        assert document.expected, document.name
        assert document.name.rpartition(".")[2].isidentifier()


def test_an_empty_mapping_is_the_default() -> None:
    assert NodeConfig.from_mapping({}) == NodeConfig()


def test_values_take_their_canonical_form() -> None:
    config = NodeConfig(
        host_ip="0:0::1",
        seed_peers=["1.2.3.4:5001", ("5.6.7.8", 9), {"ip": "::1", "port": 3}, {"ipAddress": "1.2.3.4", "port": 5001}],  # type: ignore[arg-type]
        blacklisted_ips=["010::1", "10.0.0.0/8", "::ffff:1.2.3.4", "1.2.3.4/32", "2001:db8::/32"],  # type: ignore[arg-type]
        node_info={"chain_id": b"\xab\x01"},  # type: ignore[arg-type]
        connect_timeout_s=3,
    )
    assert config.host_ip == "::1"
    assert config.seed_peers == (Endpoint("1.2.3.4", 5001), Endpoint("5.6.7.8", 9), Endpoint("::1", 3))
    assert config.blacklisted_ips == ("10::1", "10.0.0.0/8", "1.2.3.4", "2001:db8::/32")
    assert config.node_info.chain_id == "ab01"
    assert config.node_info.chain_id_bytes == b"\xab\x01"
    assert isinstance(config.connect_timeout_s, float)


def test_immutable_hashable_picklable() -> None:
    mapping = {
        "node_info": {"options": {"height": 1, "labels": ["a", "b"], "inner": {"x": b"1"}}},
        "custom_node_info_schema": {"properties": {"height": {"dataType": "uint32", "fieldNumber": 1}}},
        "peer_selection_for_send": len,
    }
    config = NodeConfig.from_mapping(mapping)
    mapping["node_info"]["options"]["height"] = 2  # type: ignore[index]
    assert config.node_info.options["height"] == 1
    assert config.node_info.options["labels"] == ("a", "b")
    with pytest.raises(AttributeError):
        config.port = 1  # type: ignore[misc]
    for change in (
        lambda: config.node_info.options.update(x=1),
        lambda: config.node_info.options.__setitem__("x", 1),
        lambda: config.node_info.options["inner"].clear(),
        lambda: config.node_info.options.pop("height"),
    ):
        with pytest.raises(TypeError, match="immutable"):
            change()
    sent = pickle.dumps(config)
    copied = pickle.loads(sent)
    assert copied == config
    assert copied is not config
    assert pickle.loads(sent) is copied  # read once, and shared by all who are sent it
    assert hash(copied) == hash(config)
    assert type(copied.node_info.options) is FrozenDict
    assert thaw(config.node_info.options) == {"height": 1, "labels": ["a", "b"], "inner": {"x": b"1"}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "abc"),
        ("port", -1),
        ("port", 65536),
        ("port", True),
        ("port", 1.5),
        ("port", None),
        pytest.param("port", 10**5000, id="port-a number with too many digits to print"),
        ("connect_timeout_s", 0),
        ("connect_timeout_s", math.nan),
        ("connect_timeout_s", math.inf),
        ("connect_timeout_s", "2"),
        ("latency_protection_ratio", 1.01),
        ("latency_protection_ratio", -0.1),
        ("host_ip", "localhost"),
        ("host_ip", "1.2.3.4.5"),
        ("host_ip", 5),
        ("seed_peers", "1.2.3.4:1"),
        ("seed_peers", None),
        ("seed_peers", {"ip": "1.2.3.4", "port": 1}),
        ("seed_peers", ["1.2.3.4"] * 10_001),
        ("blacklisted_ips", "1.2.3.4"),
        ("secret", -1),
        ("secret", 2**32),
        ("secret", True),
        ("log_level", "loud"),
        ("peer_handshake_check", "no colon"),
        ("peer_handshake_check", "a:b:c"),
        ("custom_node_info_schema", []),
        ("custom_node_info_schema", {1: 2}),
        ("custom_node_info_schema", {"a": object()}),
    ],
)
def test_a_wrong_value_names_its_option_and_what_was_expected(name: str, value: object) -> None:
    (problem,) = problems_of({name: value})
    assert problem.startswith(f"{name}: expected ")
    assert ", got " in problem
    assert len(problem) < 400
    with pytest.raises(ConfigError):
        NodeConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chain_id", ""),
        ("chain_id", "123"),
        ("chain_id", "0x01"),
        ("chain_id", "00" * 65),
        ("chain_id", 1),
        ("network_version", "0.9"),
        ("network_version", "1"),
        ("network_version", "1.1x"),
        ("network_version", 1.1),
        ("network_identifier", ""),
        ("network_identifier", "n" * 257),
        ("network_identifier", "\ud800"),
        ("network_id", 123),
        ("protocol_version", "1"),
        ("protocol_version", ""),
        ("version", ""),
        ("version", "1 0"),
        ("version", None),
        ("nonce", ""),
        ("nonce", "a b"),
        ("nonce", "a" * 65),
        ("advertise_address", "yes"),
        ("options", None),
    ],
)
def test_a_wrong_value_in_node_info_has_its_dotted_name(name: str, value: object) -> None:
    (problem,) = problems_of({"node_info": {name: value}})
    assert problem.startswith(f"node_info.{name}: expected ")
    with pytest.raises(ConfigError):
        NodeInfoConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "entry",
    [
        "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "::1:5", "[1.2.3.4]:5", "", 5, None, [], ["1.2.3.4"],
        {"ip": "1.2.3.4"}, {"ip": "1.2.3.4", "port": "1"}, {"ip": "1.2.3.4", "port": True}, {"ip": 1, "port": 1},
        {"ip": "1.2.3.4", "port": 1, "x": 1}, "fe80::1%eth0:5", "[fe80::1%eth0]:5",
    ],
)  # fmt: skip
def test_a_wrong_endpoint_is_named_by_its_position(entry: object) -> None:
    (problem,) = problems_of({"seed_peers": ["1.2.3.4:1", entry]})
    assert problem.startswith("seed_peers[1]: expected ip:port or host.name:port")
    (problem,) = problems_of({"fixed_peers": ["1.2.3.4:1", entry]})
    assert problem.startswith("fixed_peers[1]: expected ip:port, as ")


NAMES = ["localhost:1", "Seed.example.org:5001", ("seed.example.org", 5001), {"host": "seed.example.org", "port": 5001}]


@pytest.mark.parametrize("entry", NAMES)
def test_seeds_may_be_given_by_name(entry: object) -> None:
    config = NodeConfig(seed_peers=["1.2.3.4:1", entry])  # type: ignore[list-item]
    (name,) = config.seed_names
    assert name in (SeedName("localhost", 1), SeedName("seed.example.org", 5001))
    assert config.seed_endpoints == (Endpoint("1.2.3.4", 1),)
    assert pickle.loads(pickle.dumps(config)) == config
    assert NodeConfig(seed_peers=config.seed_peers) == config


@pytest.mark.parametrize("entry", NAMES)
@pytest.mark.parametrize("option", ["fixed_peers", "whitelisted_peers", "previous_peers"])
def test_other_lists_are_of_addresses_and_say_so(option: str, entry: object) -> None:
    (problem,) = problems_of({option: [entry]})
    assert problem.startswith(f"{option}[0]: expected ip:port with a literal IP address (only seed_peers may be given ")


def test_fixed_peers_only_needs_fixed_peers() -> None:
    (problem,) = problems_of({"fixed_peers_only": True})
    assert problem == "fixed_peers_only: needs fixed_peers, and none is given"
    assert NodeConfig(fixed_peers_only=True, fixed_peers=["1.2.3.4:1"]).fixed_peers_only  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "lip", "lisk"),
    [
        ("max_outbound_per_netgroup", 3, 100_000),
        ("outbound_shuffle_moment", "random", "tick"),
        ("inbound_victim", "youngest-of-largest-group", "random"),
        ("peer_book_hashing", "lip", "lisk"),
        ("peer_book_identity", "ip", "endpoint"),
        ("peer_book_new_max_age_s", 30 * 86400.0, 86400.0),
        ("peer_book_few_tried_choice", "uniform", "coin-flip"),
        ("refuse_narrower_reach", True, False),
    ],
)
def test_where_the_lip_and_lisk_p2p_differ_the_lip_is_the_default_and_the_other_an_option(
    option: str, lip: object, lisk: object
) -> None:
    assert getattr(NodeConfig(), option) == lip
    assert getattr(NodeConfig.from_mapping({option: lisk}), option) == lisk


@pytest.mark.parametrize("entry", ["1.2.3", "10.0.0.0/33", "10.1.0.0/8", "::1%lo", 1, None, "x/8", "10.0.0.0/8/8", "/"])
def test_a_wrong_prefix_is_named_by_its_position(entry: object) -> None:
    (problem,) = problems_of({"blacklisted_ips": [entry]})
    assert problem.startswith("blacklisted_ips[0]: expected ")


def test_a_prefix_with_bits_behind_it_gets_a_suggestion() -> None:
    (problem,) = problems_of({"blacklisted_ips": ["10.1.2.3/8"]})
    assert "did you mean 10.0.0.0/8?" in problem


def test_all_problems_are_reported_at_once() -> None:
    problems = problems_of({"port": "x", "prot": 1, "node_info": {"nonc": 1, "chain_id": "z"}, "seed_peers": [1, 2]})
    assert [problem.partition(":")[0] for problem in problems] == [
        "port", "prot", "node_info.nonc", "node_info.chain_id", "seed_peers[0]", "seed_peers[1]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("prot", "port"),
        ("seed-peers", "seed_peers"),
        ("wsMaxPayload", "ws_max_payload_bytes"),
        ("blacklistedIPs", "blacklisted_ips"),
        ("zzz", ""),
        ("x" * 10_000, ""),
        (5, ""),
        pytest.param(10**5000, "", id="huge number"),
    ],
)
def test_an_unknown_option_gets_a_suggestion(given: object, meant: str) -> None:
    assert suggestion(given, NodeConfig) == meant
    (problem,) = problems_of({given: 1})
    assert "unknown option" in problem
    assert ("did you mean" in problem) == bool(meant)
    assert len(problem) < 200


@pytest.mark.parametrize("value", [5, "x", None, [], [("chain_id", "00")]])
def test_a_section_must_be_a_mapping(value: object) -> None:
    assert problems_of({"node_info": value})[0].startswith("node_info: expected a mapping of options, got ")


@pytest.mark.parametrize(
    ("values", "first", "second"),
    [
        ({"ping_interval_min_s": 61}, "ping_interval_min_s", "ping_interval_max_s"),
        ({"keepalive_interval_s": 21}, "keepalive_interval_s", "keepalive_timeout_s"),
        ({"ws_max_payload_bytes": 1 << 25}, "ws_max_payload_bytes", "max_send_queue_bytes"),
        ({"max_peer_info_bytes": 4_000_000}, "max_peer_info_bytes", "ws_max_payload_bytes"),
        ({"max_pending_handshakes": 31}, "max_pending_handshakes_per_ip", "max_pending_handshakes"),
        (
            {"minimum_peer_discovery_threshold": 201},
            "minimum_peer_discovery_threshold",
            "max_peer_discovery_response_length",
        ),
        ({"node_info": {"options": {"a": 1}}}, "node_info.options", "custom_node_info_schema"),
        ({"network": {"protocol": "lisk-0.7"}}, "node_info.network_identifier", "network.protocol lisk-0.7"),
        ({"network": {"protocol": "lisk-0.5"}}, "node_info.network_id", "network.protocol lisk-0.5"),
        (
            {"network": {"protocol": "auto"}, "node_info": {"options": {"a": 1}}},
            "node_info.options",
            "custom_node_info_schema",
        ),
        (
            {"network": {"protocol": "lisk-0.5"}, "node_info": {"network_id": "x"}, "custom_node_info_schema": {}},
            "custom_node_info_schema",
            "network.protocol lisk-0.5",
        ),
    ],
)
def test_options_must_fit_each_other(values: dict[str, Any], first: str, second: str) -> None:
    (problem,) = problems_of(values)
    assert problem.startswith(f"{first}: ")
    assert second in problem


def test_each_generation_with_what_it_needs() -> None:
    for protocol, more in [
        ("lisk-0.10", {}),
        ("lisk-0.7", {"network_identifier": "1111"}),
        ("lisk-0.5", {"network_id": "123xyz", "options": {"height": 7, "os": "linux"}}),
        ("auto", {}),
    ]:
        config = NodeConfig.from_mapping({"network": {"protocol": protocol}, "node_info": more})
        assert config.network.protocol == protocol


def test_the_default_has_no_broken_relations() -> None:
    assert list(relations(flatten(NodeConfig()))) == []


@pytest.mark.parametrize("values", [{"port": 0}, {"max_inbound_connections": 0}, {"host_ip": "::"}, {"secret": 0}])
def test_edges_that_are_allowed(values: dict[str, Any]) -> None:
    config = flatten(NodeConfig.from_mapping(values))
    assert {name: config[name] for name in values} == values


def test_a_ban_longer_than_a_32_bit_number_of_milliseconds_is_kept() -> None:
    # lisk-p2p: more than 2^31 - 1 ms overflows its timer and the ban lasts 1 ms.
    assert NodeConfig(peer_ban_time_s=86400 * 30).peer_ban_time_s == 2_592_000


def test_the_keepalive_timeout_fits_the_acknowledgement_in_milliseconds() -> None:
    assert NodeConfig(keepalive_timeout_s=86400).keepalive_timeout_s * 1000 < 2**31
    with pytest.raises(ConfigError):
        NodeConfig(keepalive_timeout_s=86401)


def test_frozen_data_is_capped() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(ValueError, match="levels deep"):
        freeze(deep)
    with pytest.raises(ValueError, match="levels deep"):
        freeze(["x"] * 10_001)


def test_paths_are_written_with_dots_and_brackets() -> None:
    assert dotted(("node_info", "options", "x")) == "node_info.options.x"
    assert str(Problem(("seed_peers", 2), "wrong")) == "seed_peers[2]: wrong"
    assert str(Problem((), "wrong")) == "wrong"


class Hostile:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_is_reported_all_the_same() -> None:
    (problem,) = problems_of({"port": Hostile()})
    assert problem.startswith("port: expected an integer from 0 to 65535, got <Hostile instance")


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([doc.name.split(".")[0] for doc in options()]) | st.text(), json_like))
def test_any_mapping_is_accepted_or_refused_with_reasons(mapping: dict[str, Any]) -> None:
    config = None
    reasons: list[str] = []
    try:
        config = NodeConfig.from_mapping(mapping)
    except ConfigError as error:
        reasons = error.problems
    assert (config is None) == bool(reasons)
    assert all(reasons)
    assert config is None or pickle.loads(pickle.dumps(config)) == config or "nan" in repr(config)


@pytest.mark.parametrize("value", ["data", "/var/lib/ensemble", "~/ensemble", "123", None])
def test_a_data_directory_is_a_path_or_nothing(value: str | None) -> None:
    assert NodeConfig(data_dir=value).data_dir == value


def test_a_data_directory_may_be_a_path_object() -> None:
    assert NodeConfig(data_dir=Path("some") / "where").data_dir == "some/where"  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "a\0b", "x" * 4097, 5, b"data", ["data"], Path])
def test_what_is_no_path_is_no_data_directory(value: object) -> None:
    assert problems_of({"data_dir": value})[0].startswith("data_dir: expected the path of a directory")
