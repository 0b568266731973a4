"""Reading a configuration: precedence, origins, places in messages, hostile files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.config_sources import (
    MAX_FILE_BYTES,
    LoadedConfig,
    Origin,
    Text,
    env_variable,
    load_config,
)
from actors.config_table import as_text, plain
from core.config import FrozenDict, NodeConfig, OptionDoc, flatten, options
from core.errors import ConfigError
from core.ids import Endpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.yaml"


def read(file: Path, text: str, **more: Any) -> LoadedConfig:
    file.write_text(text, encoding="utf-8")
    return load_config(file, **more)


def complaints(file: Path | None, **more: Any) -> list[str]:
    """The problems, with the directory left out."""
    with pytest.raises(ConfigError) as caught:
        load_config(file, **more)
    return [problem.replace(f"{file.parent}/" if file else "\0", "") for problem in caught.value.problems]


def complaints_about(file: Path, text: str, **more: Any) -> list[str]:
    file.write_text(text, encoding="utf-8")
    return complaints(file, **more)


def test_without_sources_everything_is_default() -> None:
    loaded = load_config()
    assert loaded.config == NodeConfig()
    assert set(loaded.origins) == {document.name for document in options()}
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}


def test_precedence_is_default_file_environment_argument(file: Path) -> None:
    text = "port: 1\nhost_ip: 127.0.0.1\nmax_inbound_connections: 2\nsend_peer_limit: 3\n"
    env = {"ENSEMBLE_MAX_INBOUND_CONNECTIONS": "4", "ENSEMBLE_SEND_PEER_LIMIT": "5", "HOME": "/", "ENSEMBLE": "x"}
    loaded = read(file, text, env=env, overrides={"send_peer_limit": 6})
    config, origins = loaded.config, loaded.origins
    assert (config.port, config.max_inbound_connections, config.send_peer_limit) == (1, 4, 6)
    assert config.max_outbound_connections == NodeConfig().max_outbound_connections
    assert origins["port"] == Origin("file", f"{file}:1:7")
    assert origins["max_inbound_connections"] == Origin("environment", "ENSEMBLE_MAX_INBOUND_CONNECTIONS")
    assert origins["send_peer_limit"] == Origin("argument")
    assert origins["max_outbound_connections"] == Origin("default")
    assert str(origins["send_peer_limit"]) == "argument"


def test_sections_are_merged_option_by_option(file: Path) -> None:
    loaded = read(
        file,
        "node_info:\n  chain_id: 00000002\n  nonce: abc\n",
        env={"ENSEMBLE_NODE_INFO__NONCE": "def"},
        overrides={"node_info": {"network_version": "1.2"}},
    )
    info = loaded.config.node_info
    assert (info.chain_id, info.nonce, info.network_version) == ("00000002", "def", "1.2")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("node_info: {chain_id: 00000010}", "node_info.chain_id", "00000010"),
        ("node_info: {chain_id: 04000000}", "node_info.chain_id", "04000000"),
        ("node_info: {chain_id: 1234}", "node_info.chain_id", "1234"),
        ("node_info: {chain_id: '1234'}", "node_info.chain_id", "1234"),
        ("node_info: {chain_id: 1e10}", "node_info.chain_id", "1e10"),
        ("node_info: {network_version: 1.10}", "node_info.network_version", "1.10"),
        ("node_info: {nonce: 12345678}", "node_info.nonce", "12345678"),
        ("node_info: {nonce: null}", "node_info.nonce", None),
        ("node_info: {nonce: 2020-01-01}\nport: 7", "port", None),
        ("populator_interval_s: 1e1", "populator_interval_s", 10.0),
        ("populator_interval_s: 5", "populator_interval_s", 5.0),
        ("port: 0x1389", "port", 5001),
        ("node_info: {advertise_address: no}", "node_info.advertise_address", False),
        ("seed_peers: [1.2.3.4:5, {ip: '::1', port: 6}]", "seed_peers", (Endpoint("1.2.3.4", 5), Endpoint("::1", 6))),
        ("blacklisted_ips:\n- 10.0.0.0/8\n- '::1'\n", "blacklisted_ips", ("10.0.0.0/8", "::1")),
    ],
)
def test_values_are_what_was_written(file: Path, text: str, name: str, value: object) -> None:
    if value is None and name == "port":  # a date is text, and then not a nonce
        assert "'2020-01-01'" in complaints_about(file, text)[0]
        return
    assert flatten(read(file, text).config)[name] == value


def test_free_form_mappings_come_through(file: Path) -> None:
    text = """
node_info:
  options: {height: 5, labels: [a, b], blob: !!binary AAE=, ratio: 1.5, deep: {x: null, 'y': 00012}}
custom_node_info_schema:
  properties:
    height: {dataType: uint32, fieldNumber: 1}
"""
    config = read(file, text).config
    assert config.node_info.options == {
        "height": 5,
        "labels": ("a", "b"),
        "blob": b"\0\1",
        "ratio": 1.5,
        "deep": {"x": None, "y": 10},
    }
    assert config.custom_node_info_schema == {"properties": {"height": {"dataType": "uint32", "fieldNumber": 1}}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "node_info:\n", "\ufeffport: 5001\n", "{}"])
def test_empty_files_and_sections_are_fine(file: Path, text: str) -> None:
    assert read(file, text).config == NodeConfig()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host_ip: 0.0.0.0\n\nport: abc\n", "node.yaml:3:7: port: expected an integer from 0 to 65535, got 'abc'"),
        ("node_info:\n  chain_id: xy\n", "node.yaml:2:13: node_info.chain_id: expected hex text of 1 to 64 bytes"),
        ("prot: 1\n", "node.yaml:1:1: prot: unknown option; did you mean port?"),
        ("wsMaxPayload: 1\n", "node.yaml:1:1: wsMaxPayload: unknown option; did you mean ws_max_payload_bytes?"),
        ("chainID: 1\n", "node.yaml:1:1: chainID: unknown option; did you mean node_info.chain_id?"),
        ("node_info:\n  port: 1\n", "node.yaml:2:3: node_info.port: unknown option; did you mean port?"),
        ("seed_peers:\n- 1.2.3.4:1\n- nobody\n", "node.yaml:3:3: seed_peers[1]: expected ip:port"),
        ("seed_peers: 1.2.3.4:1\n", "node.yaml:1:13: seed_peers: expected a list of ip:port"),
        ("node_info: 5\n", "node.yaml:1:12: expected a mapping (name: value), got '5'"),
        ("[1, 2]\n", "node.yaml:1:1: expected a mapping (name: value), got a list"),
        ("port: 1\nport: 2\n", "node.yaml:2:1: port is given twice, first in line 1"),
        ("node_info: {nonce: a, nonce: b}\n", "node.yaml:1:23: nonce is given twice, first in line 1"),
        ("\tport: 1\n", "node.yaml:1:1: not valid YAML: a tab is not allowed here"),
        ("port: [1\n", "node.yaml:2:1: not valid YAML: "),
        ("port: 1\n---\nport: 2\n", "node.yaml:2:1: not valid YAML: "),
        ("port: 'x\n", "node.yaml:2:1: not valid YAML: "),
        ("a: \0\n", "node.yaml:1:4: character U+0000 is not allowed in YAML"),
        ("x: &a 1\nport: *a\n", "node.yaml:2:7: aliases (*name) are not supported"),
        ("<<: {port: 1}\n", "node.yaml:1:1: merge keys (<<) are not supported"),
        ("? [a]\n: 1\n", "node.yaml:1:3: expected a name, got a list"),
        ("port: !!python/object/apply:os.getpid []\n", "node.yaml:1:1: port: expected an integer"),
        ("port: !!python/name:os.system x\n", "node.yaml:1:7: tag tag:yaml.org,2002:python/name:os.system is not"),
        ("port: !!int abc\n", "node.yaml:1:7: 'abc' is not a valid int"),
        ("port: !!bool 3\n", "node.yaml:1:7: '3' is not a valid bool"),
        (f"port: {'9' * 5000}\n", "node.yaml:1:7: '9999999999999999999999999999999999999999' is not a valid int"),
        ("peer_handshake_check: 5\n", "node.yaml:1:23: peer_handshake_check: expected a callable, or the text module"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(file: Path, text: str, expected: str) -> None:
    (problem,) = complaints_about(file, text)
    assert problem.startswith(expected)
    assert len(problem) < 300


@pytest.mark.parametrize("text", ["port: " + "[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_without_exhausting_the_stack(file: Path, text: str) -> None:
    assert "at most 32 levels" in complaints_about(file, text)[0]


def test_a_file_with_too_many_values_is_refused(file: Path) -> None:
    assert "50000 values" in complaints_about(file, f"seed_peers: [{'a,' * 60_000}]")[0]


def test_files_that_cannot_be_read_say_why(tmp_path: Path, file: Path) -> None:
    assert complaints(file) == ["node.yaml: there is no such file"]
    assert complaints(tmp_path)[0].endswith("is a directory, expected a YAML file")
    os.mkfifo(file)
    assert complaints(file) == ["node.yaml: is not a regular file, expected a YAML file"]
    assert "cannot be read" in complaints(tmp_path / ("x" * 5000))[0]
    assert "is not the name of a file" in complaints(Path("a\0b"))[0]
    file.unlink()
    file.write_bytes(b"port: 1\nhost_ip: \xff\n")
    assert complaints(file) == ["node.yaml:2: expected UTF-8 text, got byte 0xff"]
    file.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert complaints(file) == [f"node.yaml: is larger than {MAX_FILE_BYTES} bytes, expected a configuration file"]


def test_all_problems_of_all_sources_are_reported(file: Path) -> None:
    found = complaints_about(
        file,
        "port: x\nprot: 1\n",
        env={"ENSEMBLE_PORT": "y", "ENSEMBLE_NODE_INFO_NONCE": "z"},
        overrides={"port": "q", "nope": 1, "host_ip": Text("h")},
    )
    assert [problem.split(", got")[0] for problem in found] == [
        "node.yaml:2:1: prot: unknown option; did you mean port?",
        "node.yaml:1:7: port: expected an integer from 0 to 65535",
        "ENSEMBLE_NODE_INFO_NONCE: no option has this name; did you mean ENSEMBLE_NODE_INFO__NONCE?",
        "ENSEMBLE_PORT: port: expected an integer from 0 to 65535",
        "nope: unknown option",
        "port: expected an integer from 0 to 65535",
        "--set host_ip: host_ip: expected a literal IP address, as 0.0.0.0, 127.0.0.1 or ::",
    ]


def test_options_that_do_not_fit_each_other_name_the_place_of_the_first(file: Path) -> None:
    (problem,) = complaints_about(file, "ping_interval_min_s: 30\n", env={"ENSEMBLE_PING_INTERVAL_MAX_S": "25"})
    assert problem == "node.yaml:1:22: ping_interval_min_s: expected at most ping_interval_max_s (25.0), got 30.0"
    (problem,) = complaints(None, env={"ENSEMBLE_PING_INTERVAL_MAX_S": "5"})
    assert problem == "ping_interval_min_s: expected at most ping_interval_max_s (5.0), got 20.0"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "7", 7),
        ("node_info.chain_id", "00000002", "00000002"),
        ("node_info.nonce", "null", None),
        ("node_info.advertise_address", "false", False),
        ("node_info.options", "{}", FrozenDict()),
        ("seed_peers", "[1.2.3.4:5, '[::1]:6']", (Endpoint("1.2.3.4", 5), Endpoint("::1", 6))),
        ("blacklisted_ips", "[10.0.0.0/8]", ("10.0.0.0/8",)),
        ("custom_node_info_schema", "{properties: {}}", {"properties": {}}),
        ("host_ip", "::", "::"),
        ("peer_handshake_check", "os.path:join", "os.path:join"),
    ],
)
def test_variables_and_set_arguments_are_read_by_type(name: str, text: str, value: object) -> None:
    variable = env_variable(name)
    from_env = load_config(env={variable: text})
    assert flatten(from_env.config)[name] == value
    assert from_env.origins[name] == Origin("environment", variable)
    from_text = load_config(overrides={name: Text(text)})
    assert flatten(from_text.config)[name] == value
    assert from_text.origins[name] == Origin("argument", f"--set {name}")


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("ENSEMBLE_PROT", "1", "ENSEMBLE_PROT: no option has this name; did you mean ENSEMBLE_PORT?"),
        ("ENSEMBLE_ZZZZZ", "1", "ENSEMBLE_ZZZZZ: no option has this name"),
        ("ENSEMBLE_", "1", "ENSEMBLE_: no option has this name"),
        ("ENSEMBLE_NODE_INFO", "{}", "ENSEMBLE_NODE_INFO: no option has this name"),
        ("ENSEMBLE_PORT", "", "ENSEMBLE_PORT: port: expected an integer from 0 to 65535, got None"),
        ("ENSEMBLE_PORT", "[", "ENSEMBLE_PORT: port: cannot be read as a YAML value: "),
        ("ENSEMBLE_SEED_PEERS", "[x]", "ENSEMBLE_SEED_PEERS: seed_peers[0]: expected ip:port"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, expected: str) -> None:
    (problem,) = complaints(None, env={variable: text})
    assert problem.startswith(expected)


def test_every_option_can_be_given_as_a_variable_with_its_default() -> None:
    env = {env_variable(doc.name): _written(doc) for doc in options()}
    loaded = load_config(env=env)
    assert loaded.config == NodeConfig()
    assert {origin.kind for origin in loaded.origins.values()} == {"environment"}


def _written(document: OptionDoc) -> str:
    return as_text(document.default)


def test_an_invalid_value_is_reported_even_if_a_later_source_replaces_it(file: Path) -> None:
    assert len(complaints_about(file, "port: x\n", overrides={"port": 1})) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.text(max_size=200) | st.text(alphabet="port:[]{}- \n'\"&*!<>|#?,%@`\t1a", max_size=60))
def test_any_text_is_read_or_refused_with_a_place(tmp_path: Path, text: str) -> None:
    file = tmp_path / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    reasons: list[str] = []
    loaded = None
    try:
        loaded = load_config(file)
    except ConfigError as error:
        reasons = error.problems
    assert (loaded is None) == bool(reasons)
    assert all(reason.startswith(f"{file}:") for reason in reasons)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([document.name for document in options()]), st.text(max_size=40))
def test_any_variable_is_read_or_refused_with_its_name(name: str, text: str) -> None:
    reasons: list[str] = []
    try:
        load_config(env={env_variable(name): text})
    except ConfigError as error:
        reasons = error.problems
    assert all(name in reason for reason in reasons)


def test_seeds_by_name_come_from_every_source_and_are_shown_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("seed_peers:\n  - seed.example.org:5001\n  - {host: other.example, port: 7}\n  - 1.2.3.4:5\n")
    expected = ["seed.example.org:5001", "other.example:7", "1.2.3.4:5"]
    text = f"[{', '.join(expected)}]"
    for loaded in (
        load_config(file),
        load_config(env={"ENSEMBLE_SEED_PEERS": text}),
        load_config(overrides={"seed_peers": Text(text)}),
        load_config(overrides={"seed_peers": expected}),
    ):
        assert plain(loaded.config.seed_peers) == expected
        assert len(loaded.config.seed_names) == 2


def test_a_name_in_another_list_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("fixed_peers:\n  - 1.2.3.4:5001\n  - seed.example.org:5001\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    (problem,) = caught.value.problems
    assert problem.startswith(
        f"{file}:3:5: fixed_peers[1]: expected ip:port with a literal IP address (only seed_peers "
    )
