"""What follows from a configuration is worked out once, and forgotten with it."""

from __future__ import annotations

from core.book.config import BookConfig
from core.config import NodeConfig
from core.config.derived import derived, one_of_equals
from core.dialects import languages_of
from core.link_settings import LinkSettings


def test_it_is_worked_out_once_for_each_configuration() -> None:
    asked: list[NodeConfig] = []

    @derived
    def port_of(config: NodeConfig) -> int:
        asked.append(config)
        return config.port

    one, other = NodeConfig(port=1), NodeConfig(port=2)
    assert [port_of(config) for config in (one, other, one, other)] == [1, 2, 1, 2]
    assert asked == [one, other]


def test_a_configuration_that_is_gone_leaves_nothing_behind() -> None:
    seen: list[int] = []

    @derived
    def port_of(config: NodeConfig) -> int:
        seen.append(config.port)
        return config.port

    for port in range(1, 50):  # ids are used again: what an earlier object had must not come back
        assert port_of(NodeConfig(port=port)) == port
    assert seen == list(range(1, 50))


def test_settings_and_languages_are_shared() -> None:
    config = NodeConfig()
    assert LinkSettings.from_config(config) is LinkSettings.from_config(config)
    assert languages_of(config) is languages_of(NodeConfig(port=7))
    schema = {"$id": "/x", "type": "object", "properties": {"height": {"dataType": "uint32", "fieldNumber": 1}}}
    with_schema = NodeConfig(custom_node_info_schema=schema)
    assert languages_of(with_schema) is not languages_of(config)


def test_nodes_of_a_kind_share_what_is_equal_in_them() -> None:
    first, other = (LinkSettings.from_config(NodeConfig(port=port)) for port in (5001, 5002))
    assert first is other
    assert BookConfig.from_config(NodeConfig(port=5001)) is BookConfig.from_config(NodeConfig(port=5002))
    slower = LinkSettings.from_config(NodeConfig(port=5001, keepalive_timeout_s=31.0))
    assert slower.keep_alive_timeout_s == 31.0
    assert one_of_equals(("a", 1)) == ("a", 1)
