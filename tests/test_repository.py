"""The project's own rules: imports, packaging, generated documentation, scripts, and nothing of any one machine."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.config_sources import load_config
from core.config import NodeConfig, flatten, options

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("core", "actors", "tests", "configs", "scripts", "examples", "docs", ".ci")
GENERATED = {"__pycache__", "node_modules", ".venv", ".git"}


def load_script(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def own_files() -> Iterator[tuple[Path, str]]:
    """Every text file of ours with its content."""
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name not in GENERATED]  # .git: a worktree's
    for place in PLACES:
        files += [path for path in (ROOT / place).rglob("*") if path.is_file() and not GENERATED & set(path.parts)]
    for path in files:
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            assert path.suffix in {".png", ".pyc", ".bin", ".lock"}, f"{path} is neither text nor a known kind"


# ---- import rules ------------------------------------------------------------------------------------------------

check_imports = load_script("check_imports")


def findings(tmp_path: Path, where: str, source: str) -> list[str]:
    path = tmp_path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "core").mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    found: list[str] = check_imports.check_tree(tmp_path)
    return found


def test_the_import_rules_hold() -> None:
    assert check_imports.check_tree(ROOT) == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        *[
            ("core/x.py", f"import {module}")
            for module in (
                "actors", "thespian.actors", "socket", "time", "asyncio", "threading", "selectors", "logging", "os",
                "os.path", "subprocess", "secrets", "multiprocessing", "select", "signal", "sqlite3", "uuid", "tests",
                "pathlib", "urllib.request",
            )
        ],
        ("core/deep/x.py", "from actors.base import HouseActor"),
        ("core/x.py", "from time import monotonic"),
        ("core/x.py", "def f():\n    import time"),
        ("core/x.py", "from . import ids"),
        ("core/x.py", "from random import randrange"),
        ("core/x.py", "import random\nrandom.random()"),
        ("core/x.py", "import random\nrandom.Random()"),
        ("core/x.py", "from random import Random\nr = Random(7)"),
        ("core/x.py", "import importlib\nimportlib.import_module('socket')"),
        ("core/x.py", "__import__('time')"),
        ("core/x.py", "def broken(:"),
        ("actors/peer.py", "import socket"),
        ("actors/peer.py", "import time"),
        ("actors/peer.py", "from time import sleep"),
        ("actors/peer.py", "import secrets"),
        ("actors/peer.py", "import uuid"),
        ("actors/peer.py", "import os\nos.urandom(8)"),
        ("actors/peer.py", "from os import urandom"),
        ("actors/peer.py", "import random\nrandom.shuffle([])"),
        ("actors/peer.py", "from random import Random\nr = Random()"),
        ("actors/transport/websocket.py", "import time"),
        ("actors/cli.py", "import socket"),
        ("actors/bases/inproc.py", "import tests.helpers"),
    ],
)  # fmt: skip
def test_a_broken_import_rule_is_found(tmp_path: Path, where: str, source: str) -> None:
    found = findings(tmp_path, where, source)
    assert found
    assert all(re.match(rf"{where}:\d+: \S", line) for line in found)


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("core/x.py", "from random import Random\ndef f(rng: Random) -> None: ..."),
        ("core/x.py", "import random\ndef f(rng: random.Random) -> None: ..."),
        ("core/x.py", "import ipaddress, hashlib, urllib.parse\nfrom core.ids import Endpoint"),
        ("actors/peer.py", "import os\nimport logging\nfrom core.ids import Endpoint"),
        ("actors/peer.py", "from random import Random\nr = Random(7)"),
        ("actors/transport/websocket.py", "import socket"),
        ("actors/bases/inproc.py", "import socket, time, os, random\nos.urandom(8)\nrandom.random()"),
        ("actors/api.py", "import time"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, where: str, source: str) -> None:
    assert findings(tmp_path, where, source) == []


def test_the_import_check_as_a_command(tmp_path: Path) -> None:
    findings(tmp_path, "core/x.py", "x = 1\nimport time\n")
    script = [sys.executable, str(ROOT / "scripts" / "check_imports.py")]
    done = subprocess.run([*script, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stdout.startswith("core/x.py:2: core may not import time")
    done = subprocess.run([*script, str(tmp_path / "none")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2


# ---- documentation, configs, packaging ---------------------------------------------------------------------------


def test_the_configuration_reference_is_current() -> None:
    reference = load_script("gen_config_reference")
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference.reference(), "run scripts/gen_config_reference.py"
    for document in options():
        assert f"### `{document.name}`" in written
        assert not document.lisk_name or f"`{document.lisk_name}`" in written


def test_the_api_reference_is_current() -> None:
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == load_script("gen_api_reference").reference(), "run scripts/gen_api_reference.py"


def test_the_command_reference_is_current() -> None:
    script = load_script("gen_command_reference")
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert script.is_current(written, script.reference()), "run scripts/gen_command_reference.py"
    assert not script.is_current(written.replace("--seeds", "--seats"), script.reference())


def test_something_public_without_a_docstring_is_an_error() -> None:
    reference = load_script("gen_api_reference")
    with pytest.raises(reference.Undocumented, match="x has no docstring"):
        reference.markdown("  ", "x")
    text = reference.markdown(
        "One :class:`core.ids.PeerId`, ``code``.\n\n    a = 1\n\n    b = 2\n\nRaises NotActive.", "x"
    )
    assert text.startswith("One `PeerId`, `code`.")
    assert "```python\na = 1\n\nb = 2\n```" in text
    assert text.endswith("Raises `NotActive`.")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("node*.yaml")), ids=lambda path: path.name)
def test_node_files_are_valid(path: Path) -> None:
    assert load_config(path).origins


def test_the_default_file_says_what_the_defaults_are() -> None:
    # Whoever runs without the file must not meet another node than whoever runs with it. But who runs a node wants its
    # memory kept, and who embeds one decides himself where.
    expected = {**flatten(NodeConfig()), "data_dir": "data"}
    assert flatten(load_config(ROOT / "configs" / "node.yaml").config) == expected


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> list[str]:
    return [re.split(r"[<>=!~\[ ]", line)[0] for line in text.split("\n") if line and not line.startswith("#")]


def test_every_dependency_is_explained() -> None:
    parser = setup_cfg()
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    run_time = requirements(parser["options"]["install_requires"])
    assert {"thespian", "websockets", "msgpack", "pyyaml"} <= set(run_time)
    for name in run_time + requirements(parser["options.extras_require"]["dev"]):
        assert f"`{name.lower()}`" in page, f"{name} is not explained in docs/dependencies.md"


def test_only_declared_packages_are_imported() -> None:
    import_names = {"pyyaml": "yaml"}
    declared = {import_names.get(name, name) for name in requirements(setup_cfg()["options"]["install_requires"])}
    allowed = declared | set(sys.stdlib_module_names) | {"core", "actors"}
    for package in ("core", "actors"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                modules = {module.partition(".")[0] for module, _ in check_imports.imported(node)}
                if path.name == "pytest_plugin.py":
                    modules.discard("pytest")  # which loads it
                assert modules <= allowed, f"{path.relative_to(ROOT)}: {modules - allowed}"


def test_every_directory_of_code_is_a_typed_package() -> None:
    assert (ROOT / "core" / "py.typed").is_file()
    assert (ROOT / "actors" / "py.typed").is_file()
    assert "py.typed" in setup_cfg()["options.package_data"]["*"]
    for package in ("core", "actors", "tests"):
        for path in (ROOT / package).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file() or "node_modules" in path.parts, path.parent


def test_the_license_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert setup_cfg()["metadata"]["license"] == "Apache-2.0"


def test_one_python_version_everywhere() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    parser = setup_cfg()
    assert parser["options"]["python_requires"] == ">=3.11"
    assert parser["mypy"]["python_version"] == "3.11"
    assert pyproject["tool"]["ruff"]["target-version"] == "py311"
    assert "version_info < (3, 11)" in (ROOT / "scripts" / "setup").read_text(encoding="utf-8")


def test_nothing_of_a_machine_or_unfinished_is_in_the_tree() -> None:
    # Written in parts, because this file is looked at as well.
    marks = ["/" + "work/", "/" + "root/", "/" + "farm/", "../" + "shared", "TO" + "DO", "FIX" + "ME", "X" * 3]
    pattern = re.compile("|".join(rf"(?<![\w.:/-]){re.escape(mark)}(?![A-Z])" for mark in marks))
    home = re.compile(r"/" + r"home/\w|/" + r"Users/\w")
    for path, text in own_files():
        if path.parts[:2] == ("tests", "fixtures"):
            continue  # captures from other programs
        for number, line in enumerate(text.splitlines(), 1):
            assert not pattern.search(line), f"{path}:{number}: {line.strip()[:100]}"
            assert not home.search(line), f"{path}:{number}: {line.strip()[:100]}"


def test_shell_scripts_are_executable_and_parse() -> None:
    scripts = [path for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"] if path.is_file()]
    scripts = [path for path in scripts if path.read_bytes().startswith(b"#!/usr/bin/env bash")]
    assert {"setup", "run", "test", "check"} <= {path.name for path in scripts}
    for path in scripts:
        assert os.access(path, os.X_OK), path
        assert "set -euo pipefail" in path.read_text(encoding="utf-8"), path
        subprocess.run(["bash", "-n", str(path)], check=True, timeout=30)


# ---- scripts/setup, with an interpreter that only writes down what it is asked ------------------------------------

FAKE_PYTHON = """\
#!/usr/bin/env bash
here="$(cd -- "$(dirname -- "$0")" && pwd -P)"
case "$1 ${2:-}" in
    "-m venv") rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo venv >>"$FAKE_LOG" ;;
    "-m pip")
        [[ "$3" == --version ]] && exit 0
        echo "pip ${*: -1}" >>"$FAKE_LOG"
        printf '#!/bin/sh\\n' >"$here/ensemble"; chmod +x "$here/ensemble"
        exit "${FAKE_PIP_CODE:-0}" ;;
    "-c "*version_info\\ \\<*) exit "${FAKE_OLD:-0}" ;;
    "-c "*) echo "$(dirname -- "$here") 3 11 7" ;;
    "--version ") echo "Python 3.${FAKE_MINOR:-11}.7" ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class Project:
    """A copy of what scripts/setup looks at, and a log of what it did."""

    def __init__(self, root: Path, python: Path) -> None:
        self.root = root
        self.python = python
        self.log = python.parent / "log"

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PYTHON": str(self.python), "FAKE_LOG": str(self.log), **more}

    def setup(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.root / "scripts" / "setup"), *arguments]
        return subprocess.run(
            command, env=self.environment(**more), cwd="/", capture_output=True, text=True, timeout=30
        )

    def done(self) -> list[str]:
        """What has been done since the last look, with the project's path as ``.``."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line.replace(str(self.root), ".") for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "a project"
    (root / "scripts").mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "scripts/setup"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / "scripts" / "setup").chmod(0o755)
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    return Project(root, python)


def test_setup_installs_once(project: Project) -> None:
    assert project.setup().returncode == 0
    assert project.done() == ["venv", "pip .[dev]"]
    again = project.setup("dev")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert project.done() == []


def test_setup_for_running_needs_only_the_run_time_dependencies(project: Project) -> None:
    first = project.setup("run")
    assert (first.returncode, first.stdout) == (0, "")
    assert project.done() == ["venv", "pip ."]
    project.setup("dev")
    assert project.done() == ["pip .[dev]"]
    project.setup("run")
    assert project.done() == []


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml"])
def test_setup_installs_again_when_the_dependencies_changed(project: Project, name: str) -> None:
    project.setup()
    project.done()
    with (project.root / name).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    project.setup()
    assert project.done() == ["pip .[dev]"]


def test_setup_makes_a_new_environment_in_a_project_that_was_moved(project: Project) -> None:
    project.setup()
    project.done()
    project.root = project.root.rename(project.root.with_name("elsewhere"))
    project.setup()
    assert project.done() == ["venv", "pip .[dev]"]


def test_setup_goes_on_after_an_installation_that_failed(project: Project) -> None:
    failed = project.setup(FAKE_PIP_CODE="1")
    assert failed.returncode == 1
    assert "pip could not install" in failed.stderr
    project.done()
    assert project.setup().returncode == 0
    assert project.done() == ["pip .[dev]"]


def test_setup_says_when_python_is_too_old_or_not_there(project: Project) -> None:
    old = project.setup(FAKE_OLD="1", FAKE_MINOR="8")
    assert old.returncode == 1
    assert "needs Python 3.11 or newer" in old.stderr
    assert "is Python 3.8.7" in old.stderr
    missing = project.setup(PYTHON="/no/such/python")
    assert missing.returncode == 1
    assert "/no/such/python is not there" in missing.stderr
    assert project.done() == []


def test_setup_refuses_an_unknown_argument(project: Project) -> None:
    done = project.setup("everything")
    assert (done.returncode, done.stderr) == (2, "scripts/setup: expected 'run' or 'dev', got 'everything'\n")


@pytest.mark.skipif(not any(os.access(f"{place}/flock", os.X_OK) for place in os.get_exec_path()), reason="no flock")
def test_setups_at_the_same_time_install_once(project: Project) -> None:
    command = [str(project.root / "scripts" / "setup")]
    running = [
        subprocess.Popen(command, env=project.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in running:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert project.done() == ["venv", "pip .[dev]"]
