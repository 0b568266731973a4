"""Single values of the configuration: from foreign input to their checked, canonical form.

A converter takes whatever a file, the environment or a program gave, and returns the value to keep, or raises
:class:`Rejected` with what was expected. :mod:`core.config.checking` adds the option's name and what was given.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from core.config.frozen import FrozenDict, freeze
from core.ids import MAX_PORT, MIN_PORT, Endpoint
from core.seeds import SeedName

MAX_LIST_LENGTH = 10_000
"""Entries of a configured list; a full peer book holds 6,144 addresses (LIP 0004)."""

MAX_CHAIN_ID_BYTES = 64

MAX_NETWORK_NAME_LENGTH = 256

MAX_PATH_LENGTH = 4096

_CHAIN_ID = re.compile(rf"(?:[0-9a-f]{{2}}){{1,{MAX_CHAIN_ID_BYTES}}}")
_NETWORK_VERSION = re.compile(r"[1-9][0-9]{0,5}(?:\.[0-9]{1,6}){1,2}")
_APP_VERSION = re.compile(r"[0-9A-Za-z.+_-]{1,64}")
_NONCE = re.compile(r"[0-9A-Za-z]{1,64}")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)

ENDPOINT_EXPECTED = f"ip:port, as 1.2.3.4:5001 or [::1]:5001, or a mapping with ip and port ({MIN_PORT} to {MAX_PORT})"

SEED_EXPECTED = f"ip:port or host.name:port, as 1.2.3.4:5001 or seed.example.org:5001 ({MIN_PORT} to {MAX_PORT})"


class Rejected(ValueError):
    """A value is not usable. ``faults`` holds (path below the option, what was expected, what was given)."""

    def __init__(self, faults: list[tuple[tuple[str | int, ...], str, object]]) -> None:
        super().__init__("; ".join(expected for _, expected, _ in faults))
        self.faults = faults


def reject(expected: str, given: object) -> Rejected:
    """Return the exception for a value that is wrong as a whole."""
    return Rejected([((), expected, given)])


def host_ip(value: object) -> str:
    """A literal address to bind, in canonical text."""
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) and len(value) <= 64 else ""))
    except ValueError:
        raise reject("a literal IP address, as 0.0.0.0, 127.0.0.1 or ::", value) from None


def chain_id(value: object) -> str:
    """A chain id as lower-case hex text; bytes are taken too."""
    text = value.hex() if isinstance(value, bytes) else value
    if isinstance(text, str) and _CHAIN_ID.fullmatch(text.lower()):
        return text.lower()
    raise reject(f"hex text of 1 to {MAX_CHAIN_ID_BYTES} bytes (two digits each), as 00000001", value)


def network_name(value: object) -> str | None:
    """The name of a network in an older generation of lisk-p2p, compared as it is written; or None."""
    if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_NETWORK_NAME_LENGTH and _is_unicode(value)):
        return value
    raise reject(f"a text of 1 to {MAX_NETWORK_NAME_LENGTH} characters, or null", value)


def app_version(value: object) -> str:
    """The version of the application, which only has to be there."""
    if isinstance(value, str) and _APP_VERSION.fullmatch(value):
        return value
    raise reject("a version text of 1 to 64 letters, digits and . + - _", value)


def optional_network_version(value: object) -> str | None:
    """A network version or None."""
    return None if value is None else network_version(value)


def network_version(value: object) -> str:
    """``major.minor`` or ``major.minor.patch``; peers compare the major number, which is 1 or more."""
    if isinstance(value, str) and _NETWORK_VERSION.fullmatch(value):
        return value
    raise reject("a version text with a major number of 1 or more, as 1.1", value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def nonce(value: object) -> str | None:
    """Text by which a node recognises itself, or None for a random one at each start."""
    if value is None or (isinstance(value, str) and _NONCE.fullmatch(value)):
        return value
    raise reject("1 to 64 letters and digits, or null for a random nonce at each start", value)


def secret(value: object) -> int | None:
    """A number of 32 bits (LIP 0004 asks for at least as many), or None for a random one."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32):
        return value
    raise reject(f"an integer from 0 to {2**32 - 1}, or null", value)


def directory(value: object) -> str | None:
    """The path of a directory as text, or None; path objects are taken too. A start shows whether it can be used."""
    text = value.__fspath__() if hasattr(value, "__fspath__") and not isinstance(value, type) else value
    if text is None or (isinstance(text, str) and 0 < len(text) <= MAX_PATH_LENGTH and "\0" not in text):
        return text
    raise reject(f"the path of a directory (at most {MAX_PATH_LENGTH} characters), or null", value)


def mapping(value: object) -> FrozenDict:
    """Any JSON-like mapping, frozen."""
    if not isinstance(value, Mapping):
        raise reject("a mapping", value)
    try:
        frozen: FrozenDict = freeze(value)
    except ValueError as error:
        raise reject(str(error), value) from None
    return frozen


def optional_mapping(value: object) -> FrozenDict | None:
    """A mapping or None."""
    return None if value is None else mapping(value)


def function(value: object) -> Callable[..., Any] | str | None:
    """A callable, or the text ``module:function``, or None for the node's own rule."""
    if value is None or callable(value) or (isinstance(value, str) and _FUNCTION.fullmatch(value)):
        return value
    raise reject("a callable, or the text module:function", value)


def endpoint(value: object) -> Endpoint:
    """One endpoint from ``ip:port`` text, a pair, or a mapping with ``ip`` (or ``ipAddress``) and ``port``."""
    try:
        if isinstance(value, str):
            return Endpoint.parse(value)
        ip, port = _pair(value)
        if isinstance(ip, str) and isinstance(port, int) and not isinstance(port, bool):
            return Endpoint.checked(ip, port)
    except ValueError:
        pass  # the rejection below tells more than the parser's own words: it shows every accepted form
    if _seed_name(value) is not None:
        raise reject("ip:port with a literal IP address (only seed_peers may be given by name)", value)
    raise reject(ENDPOINT_EXPECTED, value)


def seed(value: object) -> Endpoint | SeedName:
    """One seed: an endpoint in any of its forms, or ``host.name:port`` in the same ones."""
    try:
        return endpoint(value)
    except Rejected:
        name = _seed_name(value)
    if name is None:
        raise reject(SEED_EXPECTED, value)
    return name


def _seed_name(value: object) -> SeedName | None:
    try:
        if isinstance(value, str):
            return SeedName.parse(value)
        host, port = _pair(value)
        if isinstance(host, str) and isinstance(port, int) and not isinstance(port, bool):
            return SeedName.checked(host, port)
    except ValueError:
        pass  # the caller's rejection shows every accepted form
    return None


def _pair(value: object) -> tuple[object, object]:
    if isinstance(value, Mapping) and set(value) in ({"ip", "port"}, {"ipAddress", "port"}, {"host", "port"}):
        return value.get("ip", value.get("ipAddress", value.get("host"))), value["port"]
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0], value[1]
    return None, None


def endpoints(value: object) -> tuple[Endpoint, ...]:
    """A list of endpoints without repetitions, in order."""
    return _each(value, endpoint, "ip:port")


def seeds(value: object) -> tuple[Endpoint | SeedName, ...]:
    """A list of seeds without repetitions, in order."""
    return _each(value, seed, "ip:port or host.name:port")


def address_or_prefix(value: object) -> str:
    """One address or prefix in canonical text; a prefix of full length is written as an address."""
    expected = "an IP address or prefix, as 1.2.3.4, 10.0.0.0/8 or 2001:db8::/32"
    if not isinstance(value, str) or len(value) > 64 or "%" in value:
        raise reject(expected, value)
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise reject(expected, value) from None
    if "/" in value and str(network.network_address) != str(ipaddress.ip_address(value.partition("/")[0])):
        raise reject(f"an IP prefix without bits behind it (did you mean {network}?)", value)
    if network.num_addresses > 1:
        return str(network)
    address = network.network_address
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def addresses_and_prefixes(value: object) -> tuple[str, ...]:
    """A list of addresses and prefixes without repetitions, in order."""
    return _each(value, address_or_prefix, "IP addresses or prefixes")


def _each(value: object, convert: Callable[[object], Any], what: str) -> tuple[Any, ...]:
    """Convert every item, collecting all that is wrong."""
    if not isinstance(value, list | tuple) or len(value) > MAX_LIST_LENGTH:
        raise reject(f"a list of {what}, at most {MAX_LIST_LENGTH} entries", value)
    kept: dict[Any, None] = {}
    faults: list[tuple[tuple[str | int, ...], str, object]] = []
    for index, item in enumerate(value):
        try:
            kept[convert(item)] = None
        except Rejected as error:
            faults += [((index, *path), expected, given) for path, expected, given in error.faults]
    if faults:
        raise Rejected(faults)
    return tuple(kept)
