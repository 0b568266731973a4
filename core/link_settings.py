"""The numbers by which a link behaves, taken from the node's configuration."""

from __future__ import annotations

import msgspec

from core.config import NodeConfig
from core.config.derived import derived, one_of_equals
from core.penalties import DRY_RUN


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes; the defaults are lisk-p2p 0.10's (docs/protocol.md, "Timers and limits").

    ``request_timeout_outbound_s`` is lisk-p2p's ackTimeout; ``request_timeout_inbound_s`` its fixed 10 s.
    ``hand_over_timeout_s`` is an inbound peer's wait for the connection that the server checked for it.
    ``max_open_calls`` caps the requests of a remote that we have not answered, ``max_pending_requests`` ours that it
    has not: both queues can be made to grow by a remote that asks much or answers nothing. ``peers_asked_once``: a
    remote may ask getPeers once on a connection, not once in 10 s. ``dry_run``: misbehaviour is reported and has no
    consequences.
    """

    connect_timeout_s: float = 2.0
    upgrade_timeout_s: float = 5.0
    handshake_timeout_s: float = 2.0
    request_timeout_outbound_s: float = 2.0
    request_timeout_inbound_s: float = 10.0
    close_timeout_s: float = 2.0
    hand_over_timeout_s: float = 10.0
    keep_alive_interval_s: float = 8.0
    keep_alive_timeout_s: float = 20.0
    ping_interval_min_s: float = 20.0
    ping_interval_max_s: float = 60.0
    native_ping_interval_min_s: float = 60.0
    native_ping_interval_max_s: float = 120.0
    max_packet_rate: float = 100.0
    packet_rate_penalty: int = 10
    packet_rate_window_s: float = 1.0
    node_info_rate: int = 4
    peers_asked_once: bool = False
    dry_run: bool = False
    max_node_info_bytes: int = 20480
    max_peers_per_answer: int = 200
    max_open_calls: int = 4096
    max_pending_requests: int = 4096
    open_call_expiry_s: float = 60.0
    traffic_report_interval_s: float = 1.0
    max_send_queue_bytes: int = 16 * 1024 * 1024
    send_stall_timeout_s: float = 30.0

    @classmethod
    def from_config(cls, config: NodeConfig) -> LinkSettings:
        """A link's part of a node's configuration; the same object for the same configuration."""
        return _from_config(config)

    @classmethod
    def _read(cls, config: NodeConfig) -> LinkSettings:
        settings = cls(
            connect_timeout_s=config.connect_timeout_s,
            upgrade_timeout_s=config.upgrade_timeout_s,
            handshake_timeout_s=config.ack_timeout_s,
            request_timeout_outbound_s=config.ack_timeout_s,
            request_timeout_inbound_s=config.inbound_request_timeout_s,
            keep_alive_interval_s=config.keepalive_interval_s,
            keep_alive_timeout_s=config.keepalive_timeout_s,
            ping_interval_min_s=config.ping_interval_min_s,
            ping_interval_max_s=config.ping_interval_max_s,
            native_ping_interval_min_s=config.native_ping_interval_min_s,
            native_ping_interval_max_s=config.native_ping_interval_max_s,
            max_packet_rate=config.ws_max_message_rate_per_s,
            packet_rate_penalty=config.ws_max_message_rate_penalty,
            packet_rate_window_s=config.rate_calculation_interval_s,
            node_info_rate=config.peer_status_message_rate_per_10s,
            peers_asked_once=config.get_peers_rule == "once-per-connection",
            dry_run=config.ban_mode == DRY_RUN,
            traffic_report_interval_s=config.traffic_report_interval_s,
            max_node_info_bytes=config.max_peer_info_bytes,
            max_open_calls=config.max_pending_requests_per_peer,
            max_pending_requests=config.max_pending_requests_per_peer,
            max_peers_per_answer=config.max_peer_discovery_response_length,
            max_send_queue_bytes=config.max_send_queue_bytes,
            send_stall_timeout_s=config.send_stall_timeout_s,
        )
        return one_of_equals(settings)


_from_config = derived(LinkSettings._read)
