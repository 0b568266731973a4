"""Which dialect a configuration asks for."""

from __future__ import annotations

import pytest

from core.config import NodeConfig
from core.dialects import Languages, dialect_for, languages_of
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
    assert isinstance(dialect_for(NodeConfig()), Lisk10)


def test_two_nodes_with_different_schemas_do_not_spoil_each_other() -> None:
    """Defect 26 of lisk-p2p: a second node without schema removes ``options`` from the first one's node info."""
    with_options, plain = dialect_for(config()), dialect_for(NodeConfig())
    info = NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {"height": 77})
    assert with_options.decode_node_info(with_options.encode_node_info(info)).options == {"height": 77}
    bare = NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {})
    assert plain.decode_node_info(plain.encode_node_info(bare)).options == {}
    assert with_options.decode_node_info(with_options.encode_node_info(info)).options == {"height": 77}


def test_a_schema_that_cannot_be_used_is_refused() -> None:
    broken = NodeConfig(custom_node_info_schema={"type": "object", "properties": {"x": {"dataType": "no such type"}}})
    with pytest.raises(SchemaError):
        dialect_for(broken)


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
