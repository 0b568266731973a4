"""examples/lisk_network: a light client, and the network files in configs/networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.config_sources import load_config
from core.dialects import languages_of
from core.events import (
    BanPeer,
    CloseOutbound,
    ConnectAbortOutbound,
    ConnectOutbound,
    DiscoveredPeer,
    MessageReceived,
    PeerInfo,
    UpdatedPeerInfo,
)
from core.ids import Endpoint, PeerId
from core.wire.payloads import NodeInfo
from core.wire.schema import parse_schema, read_hex
from examples.lisk_network.__main__ import SHOWN, described, light, payload, show_line
from tests.examples.conftest import ROOT, RunExample

FILES = sorted((ROOT / "configs" / "networks").glob("*.yaml"))


def test_there_is_a_file_for_each_network_that_the_example_names() -> None:
    assert [path.stem for path in FILES] == ["betanet", "devnet", "mainnet", "testnet"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_network_file_is_a_complete_configuration_that_says_where_it_is_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "Where it is from" in text
    assert "What you have to check" in text
    config = light(load_config(path).config)
    assert config.seed_peers
    assert (config.max_inbound_connections, config.node_info.advertise_address) == (0, False)
    assert config.custom_node_info_schema is not None
    options = read_hex(parse_schema(config.custom_node_info_schema), config.node_info.options)
    assert options["lastBlockID"] == b""
    info = NodeInfo(config.node_info.chain_id_bytes, config.node_info.network_version, "ab" * 8, False, options)
    assert languages_of(config).main.decode_node_info(languages_of(config).main.encode_node_info(info)) == info


def test_only_the_devnet_is_on_this_machine() -> None:
    for path in FILES:
        seeds = [str(seed) for seed in load_config(path).config.seed_peers]
        assert all("127.0.0.1" in seed for seed in seeds) == (path.stem == "devnet"), path


PEER = PeerInfo(peer_id=PeerId("192.0.2.1:5001"), ip_address="192.0.2.1", port=5001, options={"height": 7})


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (MessageReceived(peer_id=PEER.peer_id, event="postBlock", data=b"\x00\xff"), "says postBlock 2 bytes: 00ff"),
        (MessageReceived(peer_id=PEER.peer_id, event="postBlock", data=b"{}"), "says postBlock {}"),
        (UpdatedPeerInfo(peer=PEER), "is at height 7"),
        (ConnectOutbound(peer=PEER), "network version"),
        (
            DiscoveredPeer(endpoint=Endpoint("192.0.2.9", 1), source=PEER.peer_id),
            "192.0.2.9:1, known by 192.0.2.1:5001",
        ),
        (BanPeer(peer_id=PEER.peer_id, ip_address="192.0.2.1", until=0.0, reason="rude"), "192.0.2.1: rude"),
        (CloseOutbound(peer=PEER, code=1000, reason="bye"), "192.0.2.1:5001: 1000 bye"),
        (ConnectAbortOutbound(peer_id=PEER.peer_id, reason="refused"), "192.0.2.1:5001: refused"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_every_event_that_is_shown_has_a_line(event: object, text: str) -> None:
    assert type(event) in SHOWN
    assert text in described(event)


def test_control_characters_of_a_peer_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert payload(b"\x1b[2Jhello") == "9 bytes: 1b5b324a68656c6c6f"
    assert payload(None) == "nothing"
    show_line("kind", "reason \x1b[2J" + "x" * 1000)
    shown = capsys.readouterr().out
    assert shown.startswith("kind                 reason ?[2Jxxx")
    assert len(shown) < 140


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("moonnet",), "invalid choice: 'moonnet'"),
        (("mainnet", "--local"), "--local starts a devnet, not mainnet"),
        (("devnet", "--seconds", "0"), "expected --seconds above 0"),
    ],
)
def test_wrong_arguments(run_example: RunExample, arguments: tuple[str, ...], complaint: str) -> None:
    done = run_example("lisk_network", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.interop
def test_with_a_devnet_of_real_lisk_p2p_nodes(run_example: RunExample) -> None:
    done = run_example("lisk_network", "devnet", "--local", "--seconds", "40")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ConnectOutbound ") >= 1
    assert 'answers {"height":' in done.stdout
    assert 'says postBlock {"height":' in done.stdout
    assert " is at height " in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" answers.")
