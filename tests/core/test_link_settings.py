"""A link's numbers come from the node's configuration."""

from __future__ import annotations

import inspect

from core.admission import Admission, AdmissionSettings
from core.config import NodeConfig
from core.link import Link
from core.link_settings import LinkSettings


def test_the_defaults_of_both_agree() -> None:
    configured, plain = LinkSettings.from_config(NodeConfig()), LinkSettings()
    differing = {name for name in plain.__struct_fields__ if getattr(configured, name) != getattr(plain, name)}
    assert differing == set()


def test_every_option_of_the_configuration_arrives() -> None:
    settings = LinkSettings.from_config(
        NodeConfig(
            connect_timeout_s=1.01,
            upgrade_timeout_s=1.02,
            ack_timeout_s=1.03,
            inbound_request_timeout_s=1.04,
            keepalive_interval_s=1.05,
            keepalive_timeout_s=1.06,
            ping_interval_min_s=1.07,
            ping_interval_max_s=1.08,
            ws_max_message_rate_per_s=109.0,
            ws_max_message_rate_penalty=11,
            rate_calculation_interval_s=1.12,
            peer_status_message_rate_per_10s=13,
            max_peer_info_bytes=1014,
            minimum_peer_discovery_threshold=1,
            max_peer_discovery_response_length=15,
            max_pending_requests_per_peer=16,
        )
    )
    assert settings == LinkSettings(
        connect_timeout_s=1.01,
        upgrade_timeout_s=1.02,
        handshake_timeout_s=1.03,
        request_timeout_outbound_s=1.03,
        request_timeout_inbound_s=1.04,
        keep_alive_interval_s=1.05,
        keep_alive_timeout_s=1.06,
        ping_interval_min_s=1.07,
        ping_interval_max_s=1.08,
        max_packet_rate=109.0,
        packet_rate_penalty=11,
        packet_rate_window_s=1.12,
        node_info_rate=13,
        max_node_info_bytes=1014,
        max_peers_per_answer=15,
        max_open_calls=16,
        max_pending_requests=16,
    )


def test_no_setting_is_without_effect() -> None:
    users = "".join(
        inspect.getsource(module) for kind in Link.__mro__[:-1] if (module := inspect.getmodule(kind)) is not None
    )
    unused = {name for name in LinkSettings.__struct_fields__ if f"settings.{name}" not in users}
    assert unused == set()
    source = inspect.getsource(inspect.getmodule(Admission))  # type: ignore[arg-type]
    assert {name for name in AdmissionSettings.__struct_fields__ if f"settings.{name}" not in source} == set()
