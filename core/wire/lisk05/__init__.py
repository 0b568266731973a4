"""The dialect ``lisk-0.5``: lisk-p2p 0.4 and 0.5, the generation of Lisk SDK 3 (docs/protocol.md)."""

from core.wire.lisk05.dialect import Lisk05

__all__ = ["Lisk05"]
