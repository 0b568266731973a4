"""The node's mind: rules, tables and state machines of the peer protocol, without any input or output.

Nothing below this package opens a socket, reads a clock, draws entropy, starts a thread or writes a log. Time comes
in as ``now`` (seconds, monotonic unless a name says otherwise), randomness as a :class:`random.Random`, keys as bytes;
what should happen goes out as effects (:mod:`core.effects`). ``scripts/check_imports.py`` enforces it.
"""
