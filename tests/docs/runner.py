"""Runs one program of the documentation: ``python -m tests.docs.runner ADDRESS < program``.

Programs on a page listen on port 5001 and know a peer at 127.0.0.1:5002. Here the peer is at ADDRESS, a port that was
free, and whatever a node listens on is a free port of loopback; nothing else is changed. A program may use ``await``
outside of a function, and a running node called ``p2p`` that it did not make: then it is given one (of asyncio if it
does so), connected to the peer ``peer_id``. Its arguments are 5001 and ADDRESS.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import sys
from typing import Any

from actors import P2P, aio
from actors.transport.tcp import TcpNetwork

PEER = "127.0.0.1:5002"
CONNECT_TIMEOUT_S = 20.0
GIVEN = ("p2p", "peer_id")


def free_names(tree: ast.Module) -> set[str]:
    """Names that a program uses and nowhere makes."""
    used, made = set(), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    return used - made


def listen_anywhere() -> None:
    """From now on a node that wants any port gets a free one of loopback."""
    listen = TcpNetwork.listen

    def listen_on_loopback(self: TcpNetwork, host_ip: str, port: int, backlog: int) -> Any:
        return listen(self, "127.0.0.1", 0, backlog)

    TcpNetwork.listen = listen_on_loopback  # type: ignore[method-assign]


async def run_with_loop(code: Any, names: dict[str, Any], peer_id: str, needs_node: bool) -> None:
    """Run a program that awaits."""
    if not needs_node:
        if inspect.iscoroutine(result := eval(code, names)):
            await result
        return
    async with aio.P2P(port=0, host_ip="127.0.0.1", seed_peers=[peer_id]) as p2p:
        await p2p.wait_for_peers(timeout_s=CONNECT_TIMEOUT_S)
        names.update(p2p=p2p, peer_id=peer_id)
        if inspect.iscoroutine(result := eval(code, names)):
            await result


def run(program: str, peer_id: str) -> None:
    """Run a program. Raises what it raises, and NameError for names that nobody gives it."""
    tree = ast.parse(program)
    wanted = free_names(tree)
    if unknown := wanted - set(GIVEN):
        raise NameError(f"the program uses {', '.join(sorted(unknown))}, which it does not make")
    code = compile(tree, "<program>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {"__name__": "__main__"}
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(run_with_loop(code, names, peer_id, bool(wanted)))
    elif wanted:
        with P2P(port=0, host_ip="127.0.0.1", seed_peers=[peer_id]) as p2p:
            p2p.wait_for_peers(timeout_s=CONNECT_TIMEOUT_S)
            names.update(p2p=p2p, peer_id=peer_id)
            exec(code, names)
    else:
        exec(code, names)


if __name__ == "__main__":
    listen_anywhere()
    try:
        peer = sys.argv[1]
        sys.argv = ["program.py", "5001", peer]
        run(sys.stdin.read().replace(PEER, peer), peer)
    except KeyboardInterrupt:
        sys.exit(130)
