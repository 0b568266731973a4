"""What a channel has only at times: parts of a message that is not all there, and how it ends.

One object that is there while it is needed; channels at rest, which of thousands nearly all are, share one.
"""

from __future__ import annotations

from websockets.protocol import Protocol

from core.empty import NO_ITEMS


class Aside:
    """See the module."""

    __slots__ = (
        "close_code",
        "core_head",
        "core_left",
        "early",
        "fragment_count",
        "fragments",
        "fragments_binary",
        "have",
        "need",
        "parts",
        "protocol",
        "send_error",
    )

    def __init__(self) -> None:
        self.protocol: Protocol | None = None  # websockets' core
        self.close_code: int | None = None  # that we have sent
        self.send_error = ""
        self.early = b""  # what came along when the connection was handed over
        self.fragments: bytearray | None = None
        self.fragments_binary = False
        self.fragment_count = 0
        self.parts: list[bytes] = NO_ITEMS  # a frame that is not complete, and how much of it there is and must be
        self.have = self.need = 0
        self.core_head = b""  # the header of a frame for the core, while its length is not known
        self.core_left = 0  # bytes of a frame for the core that it lacks

    @property
    def is_core_reading(self) -> bool:
        """What comes next is the core's: the rest of a frame, or of a message."""
        return bool(self.core_left or self.core_head or self.fragments is not None)

    @property
    def is_empty(self) -> bool:
        """Nothing of all that."""
        is_reading = self.early or self.parts or self.is_core_reading
        return not (is_reading or self.protocol is not None or self.close_code is not None or self.send_error)


NOTHING = Aside()
"""That of a channel at rest; never to be changed."""
