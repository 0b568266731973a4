"""The error tree: what a caller did wrong, what a peer did wrong, what could not be done.

A *peer's* fault is never an exception for the application: it becomes a penalty, a close code or an event. The
exceptions below reach the program that embeds the node.
"""

from __future__ import annotations


class EnsembleError(Exception):
    """Base of every error that the library raises on purpose."""


class ConfigError(EnsembleError, ValueError):
    """Configuration that cannot be used: ``problems`` holds one line for each, with place, option and expectation."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        return type(self), (self.problems,)


class Misuse(EnsembleError):
    """The program called the library in a way that cannot work (wrong state, wrong argument)."""


class NotActive(Misuse):
    """The node is not running: it was not started, has been stopped, or is stopping."""


class AlreadyActive(Misuse):
    """``start()`` on a node that already runs."""


class ResponseAlreadySent(Misuse):
    """``end`` or ``error`` was called on a request that has been answered (lisk-p2p: RPCResponseAlreadySentError)."""


class InvalidNodeInfo(Misuse):
    """The node info to apply does not fit its schema or exceeds ``max_peer_info_bytes``."""


class StartFailed(EnsembleError):
    """The node could not start; the text says why (a port that is taken, an address that is not ours, ...)."""


class StopFailed(EnsembleError):
    """The node did not stop in the time given; what was left has been ended hard."""


class PeerNotFound(EnsembleError):
    """No connected peer has the given id, or there is no connected peer at all."""


class SendFailed(EnsembleError):
    """A message could not be handed to a peer (lisk-p2p: SendFailError)."""


class RequestFailed(EnsembleError):
    """A request got no usable answer (lisk-p2p: RequestFailError). ``peer_id`` names the peer asked, if any."""

    def __init__(self, message: str, peer_id: str | None = None) -> None:
        super().__init__(message)
        self.peer_id = peer_id

    def __reduce__(self) -> tuple[type[RequestFailed], tuple[object, ...]]:
        return type(self), (str(self), self.peer_id)


class RequestTimedOut(RequestFailed, TimeoutError):
    """The peer did not answer in time."""


class RequestRefused(RequestFailed):
    """The peer answered with an error; the text is the peer's, cut to 1,000 characters.

    ``code`` says what sort of error, if the peer told: one of :class:`core.wire.packets.ErrorCode` from an Ensemble
    node in the native dialect, anything from others.
    """

    def __init__(self, message: str, peer_id: str | None = None, code: int | None = None) -> None:
        super().__init__(message, peer_id)
        self.code = code

    def __reduce__(self) -> tuple[type[RequestRefused], tuple[str, str | None, int | None]]:
        return type(self), (str(self), self.peer_id, self.code)


class ConnectionLost(RequestFailed):
    """The connection closed while the request was waiting."""
