"""Which dialect a configuration asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.config import NodeConfig
from core.dialects import Languages, languages_of, own_names
from core.wire.generations import AnyGeneration
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.schema import SchemaError

SCHEMA = {
    "$id": "/test/info",
    "type": "object",
    "properties": {"height": {"dataType": "uint32", "fieldNumber": 1}},
    "required": ["height"],
}


def config(**more: object) -> NodeConfig:
    return NodeConfig(custom_node_info_schema=SCHEMA, node_info={"options": {"height": 1}}, **more)  # type: ignore[arg-type]


def test_the_default_is_lisk_0_10() -> None:
    assert isinstance(languages_of(NodeConfig()).main, Lisk10)


def test_two_nodes_with_different_schemas_do_not_spoil_each_other() -> None:
    """Defect 26 of lisk-p2p: a second node without schema removes ``options`` from the first one's node info."""
    with_options, plain = languages_of(config()).main, languages_of(NodeConfig()).main
    info = NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {"height": 77})
    assert with_options.decode_node_info(with_options.encode_node_info(info)).options == {"height": 77}
    bare = NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {})
    assert plain.decode_node_info(plain.encode_node_info(bare)).options == {}
    assert with_options.decode_node_info(with_options.encode_node_info(info)).options == {"height": 77}


def test_a_schema_that_cannot_be_used_is_refused() -> None:
    broken = NodeConfig(custom_node_info_schema={"type": "object", "properties": {"x": {"dataType": "no such type"}}})
    with pytest.raises(SchemaError):
        languages_of(broken)


# ---- which of them a connection speaks


class Other(Lisk10):
    """A dialect of another name and path."""

    name = "other"
    path = "/other/"


def test_what_is_agreed_without_a_word_is_the_main_dialect() -> None:
    languages = languages_of(NodeConfig())
    info = NodeInfo(b"\0\0\0\1", "1.1", "nonce")
    offer = languages.offer(info, 7001)
    assert offer.target == languages.main.request_target(info, 7001)
    agreement = languages.of_listener(offer.target, {})
    assert agreement is not None
    assert (agreement.dialect, agreement.headers) == (languages.main, ())
    assert languages.of_opener({}) is languages.main


def test_a_target_of_no_dialect_is_refused() -> None:
    assert languages_of(NodeConfig()).of_listener("/other/?port=1", {}) is None


def test_dialects_are_found_by_their_names() -> None:
    main, other = Lisk10(), Other()
    languages = Languages(main, other)
    assert languages.named("lisk-0.10") is main
    assert languages.named("other") is other
    with pytest.raises(KeyError, match=r"'third' is not among lisk-0\.10, other"):
        languages.named("third")
    assert languages.path == "/rpc/"


# ---- several generations at once

NETWORKS = {"network_identifier": "1111", "network_id": "123xyz"}


def every_generation(**more: object) -> Languages:
    named = {"node_info": {**NETWORKS, **more}, "network": {"protocol": "auto"}}
    return languages_of(NodeConfig.from_mapping(named))


@pytest.mark.parametrize(
    ("protocol", "kind"), [("lisk-0.10", Lisk10), ("lisk-0.7", Lisk07), ("lisk-0.5", Lisk05), ("auto", AnyGeneration)]
)
def test_the_protocol_of_the_configuration_is_the_main_dialect(protocol: str, kind: type) -> None:
    config = NodeConfig.from_mapping({"node_info": NETWORKS, "network": {"protocol": protocol}})
    languages = languages_of(config)
    assert type(languages.main) is kind
    assert languages.main.name == protocol
    if protocol != "auto":
        agreement = languages.of_listener("/rpc/?chainID=00000001&networkIdentifier=1111&networkId=123xyz", {})
        assert agreement is not None
        assert agreement.dialect is languages.main


TEN, SEVEN, FIVE = (
    "networkVersion=1.1&chainID=00000001&port=1",
    "networkVersion=1.1&networkIdentifier=1111&port=1",
    "version=1&protocolVersion=1.1&networkId=123xyz&wsPort=1",
)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (TEN, "lisk-0.10"),
        (SEVEN, "lisk-0.7"),
        (FIVE, "lisk-0.5"),
        # Several: the newest that fits.
        (f"{FIVE}&{TEN}", "lisk-0.10"),
        (f"{FIVE}&{SEVEN}", "lisk-0.7"),
        (f"{FIVE}&{SEVEN.replace('1111', 'other')}", "lisk-0.5"),
        (f"{SEVEN}&chainID=00000002", "lisk-0.7"),
        # None fits: the newest that was used, whose words the refusal has.
        (TEN.replace("01&", "02&"), "lisk-0.10"),
        (f"{SEVEN.replace('1111', 'other')}&networkId=other", "lisk-0.7"),
        ("networkId=other", "lisk-0.5"),
        ("", "lisk-0.10"),
        ("networkIdentifier=", "lisk-0.7"),
        ("&".join(["networkId=123xyz"] * 65), "lisk-0.10"),
    ],
)
def test_a_listener_tells_the_generation_by_the_query(query: str, name: str) -> None:
    languages = every_generation()
    agreement = languages.of_listener(f"/rpc/?{query}", {})
    assert agreement is not None
    assert agreement.dialect is languages.named(name)


def test_a_generation_without_a_network_of_ours_is_not_spoken() -> None:
    languages = every_generation(network_id=None)
    names = [dialect.name for dialect in languages.known]
    assert names == ["auto", "lisk-0.10", "lisk-0.7", "native", "native lisk-0.7"]
    agreement = languages.of_listener(f"/rpc/?{FIVE}", {})
    assert agreement is not None
    assert agreement.dialect.name == "lisk-0.10"


def test_an_opener_of_several_generations_asks_in_the_words_of_all() -> None:
    languages = every_generation()
    offer = languages.offer(NodeInfo(b"\0\0\0\1", "1.1", "n", network_identifier="1111", network_id="123xyz"), 7001)
    assert all(f"{name}=" in offer.target for name in ("chainID", "networkIdentifier", "networkId", "wsPort", "port"))
    assert languages.of_opener({}) is languages.main
    assert languages.of_listener("/socketcluster/?chainID=00000001", {}) is None


def test_two_nodes_that_speak_everything_agree_on_the_newest() -> None:
    info = NodeInfo(b"\0\0\0\1", "1.1", "n", network_identifier="1111", network_id="123xyz", version="1")
    agreement = every_generation().of_listener(every_generation().offer(info, 7001).target, {})
    assert agreement is not None
    assert agreement.dialect.name == "lisk-0.10"


def test_the_names_of_the_configuration_are_those_of_the_node_info() -> None:
    said = {**NETWORKS, "protocol_version": "1.2", "version": "3.0.1", "advertise_address": False}
    names = own_names(NodeConfig.from_mapping({"node_info": said}))
    assert (names.network_identifier, names.network_id, names.protocol_version) == ("1111", "123xyz", "1.2")
    assert (names.version, names.advertise_address, names.network_version) == ("3.0.1", False, "1.1")


# ---- native, where both offer it


def test_two_nodes_agree_on_native() -> None:
    here, there = languages_of(NodeConfig()), languages_of(NodeConfig())
    offer = here.offer(NodeInfo(b"\0\0\0\1", "1.1", "nonce"), 7001)
    assert offer.headers == (("Ensemble-Native", "1"),)
    agreement = there.of_listener(offer.target, {name.lower(): value for name, value in offer.headers})
    assert agreement is not None
    assert (agreement.dialect.name, agreement.headers) == ("native", (("Ensemble-Native", "1"),))
    assert here.of_opener({name.lower(): value for name, value in agreement.headers}).name == "native"
    assert there.named("native") is agreement.dialect


@pytest.mark.parametrize(
    "options", [{"network": {"native": False}}, {"ws_max_payload_bytes": 65_535, "max_peer_info_bytes": 1024}]
)
def test_a_node_may_be_without_it(options: dict[str, object]) -> None:
    """By option, or because it could not take the messages that others may send."""
    languages = languages_of(NodeConfig(**options))  # type: ignore[arg-type]
    assert languages.offer(NodeInfo(b"", "1.1", "n"), 1).headers == ()
    agreement = languages.of_listener("/rpc/?port=1", {"ensemble-native": "1"})
    assert agreement is not None
    assert (agreement.dialect.name, agreement.headers) == ("lisk-0.10", ())
    assert languages.of_opener({"ensemble-native": "1"}).name == "lisk-0.10"
    with pytest.raises(KeyError):
        languages.named("native")


def test_nodes_of_several_generations_agree_on_native_and_on_the_generation() -> None:
    info = NodeInfo(b"\0\0\0\1", "1.1", "n", network_identifier="1111", network_id="123xyz", version="1")
    every = every_generation()
    offer = every.offer(info, 7001)
    assert offer.headers == (("Ensemble-Native", "1"),)
    for protocol, answer, name in (
        ("lisk-0.10", "1", "native"),
        ("lisk-0.7", "1;lisk-0.7", "native lisk-0.7"),
        ("lisk-0.5", "1;lisk-0.5", "native lisk-0.5"),
    ):
        listener = languages_of(NodeConfig.from_mapping({"node_info": NETWORKS, "network": {"protocol": protocol}}))
        agreement = listener.of_listener(offer.target, {"ensemble-native": "1"})
        assert agreement is not None
        assert agreement.headers == (("Ensemble-Native", answer),)
        spoken = every.of_opener({"ensemble-native": answer})
        assert agreement.dialect.name == spoken.name == name
        told = agreement.dialect.decode_node_info(spoken.encode_node_info(info))
        assert agreement.dialect.check_compatibility(told, replace(info, nonce="")) is None
    agreement = every.of_listener(offer.target, {"ensemble-native": "1"})
    assert agreement is not None
    assert agreement.dialect is every.named("native")


def test_native_needs_the_right_path_too() -> None:
    assert languages_of(NodeConfig()).of_listener("/other/?port=1", {"ensemble-native": "1"}) is None
