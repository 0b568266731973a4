"""Base64 as the peers of the network read it.

Payloads travel as base64 text (RFC 4648 section 4). Real peers write it canonically, and :mod:`core.wire.socketcluster`
decodes that form at the speed of C. The reader of lisk-p2p (Node's ``Buffer.from(text, "base64")``) takes more than
that, and this module reads what it reads, so that no traffic the network accepts is lost here: characters outside the
alphabet are skipped, ``-`` and ``_`` stand for ``+`` and ``/``, padding may be missing, the first ``=`` ends the text,
and a last character that cannot complete a byte is dropped. Every text decodes to something; nothing raises.

Only table look-ups over the whole text are used: a hostile megabyte must not cost more than an honest one.
"""

from __future__ import annotations

import binascii

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_NOT_IN_ALPHABET = bytes(byte for byte in range(256) if byte not in _ALPHABET + b"-_")


def decode_lenient(text: str) -> bytes:
    """Return the bytes that ``text`` stands for by the rules of the module's documentation."""
    digits = text.partition("=")[0].encode("ascii", "ignore").translate(_URL_SAFE_TO_STANDARD, _NOT_IN_ALPHABET)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
