"""One signed POST to an address elsewhere, as the Standard Webhooks specification writes it.

The name is looked up when it is sent, and the connection goes to the very address that was checked: a name that
meanwhile points inside the network is not followed, nor is any redirect. Proxies of the environment are not used.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.crypto import salted_hmac

from labeling.errors import Refused

TIMEOUT_S, MOST_S = 10.0, 20.0  # of one wait, and of the whole
SECRET_PREFIX = "whsec_"  # noqa: S105
# Networks that are written as public addresses and carry others inside: NAT64, 6to4, Teredo.
WRAPPED = [
    ipaddress.ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]
LONGEST_ADDRESS = 500


class NotSent(Exception):
    """It did not arrive, for a reason in a sentence; `code` is what the server answered. `for_good`: trying again is in
    vain."""

    def __init__(self, sentence: str, code: int | None = None, *, for_good: bool = False) -> None:
        super().__init__(sentence)
        self.sentence, self.code, self.for_good = sentence, code, for_good


@dataclass(frozen=True, slots=True)
class Place:
    """An address in parts, as it is connected to."""

    is_secure: bool
    host: str
    port: int
    path: str


def secret_of(salt: str) -> str:
    """The secret that a receiver checks signatures by."""
    key = salted_hmac("prefloop.webhook", salt, algorithm="sha256").digest()
    return SECRET_PREFIX + base64.b64encode(key).decode()


def signed(*, uid: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """The three headers of a message: its id, when it was sent, and HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{uid}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": uid,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def read_address(url: str) -> Place:
    """An address that a webhook may have. Raises Refused with what is wrong with it."""
    if len(url) > LONGEST_ADDRESS:
        raise Refused(f"The address has {len(url)} characters; up to {LONGEST_ADDRESS} are allowed.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or not is_plain:
        raise Refused(f"The address is {url[:80]!r}; give one such as https://hooks.example.com/prefloop.")
    if parts.username or parts.password or parts.fragment:
        raise Refused("The address holds a name, a password or a part after #; leave them out.")
    is_secure = parts.scheme == "https"
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Place(is_secure, host, port or (443 if is_secure else 80), path)


def resolve(host: str, port: int) -> str:
    """The IP address behind a name now. Raises NotSent where there is none, or one that is not allowed."""
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise NotSent(f"The name {host} cannot be looked up.") from error
    if not settings.PREFLOOP_WEBHOOKS_INSIDE and not all(map(is_public, found)):
        raise NotSent(
            f"{host} is an address inside this network, where messages may not go; give a public one, or have "
            "whoever runs the installation set PREFLOOP_WEBHOOKS_INSIDE."
        )
    return min(found, key=lambda each: (":" in each, each))


def is_public(address: str) -> bool:
    """Whether an IP address is of the internet: not loopback, link-local, private, multicast, or one in disguise."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in WRAPPED)


def post(*, url: str, body: bytes, headers: dict[str, str]) -> int:
    """Send it; the status that came back, which is 200 to 299. Raises NotSent. What the server says is not kept."""
    place = read_address(url)
    connection = _connection(place, resolve(place.host, place.port))
    ends = threading.Timer(MOST_S, _cut, [connection])
    ends.daemon = True
    ends.start()
    try:
        connection.request("POST", place.path, body, headers)
        code = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(_fault_words(place.host, error)) from error
    finally:
        ends.cancel()
        connection.close()
    if not 200 <= code < 300:
        raise NotSent(
            f"{place.host} answered {code}; 200 to 299 is expected, and no redirect is followed.", code
        )
    return code


def _connection(place: Place, ip: str) -> http.client.HTTPConnection:
    """A connection to this IP address that speaks, and checks certificates, for the name."""

    class Pinned(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.create_connection((ip, place.port), TIMEOUT_S)
            if place.is_secure:
                context = ssl.create_default_context()
                self.sock = context.wrap_socket(self.sock, server_hostname=place.host)

    connection = Pinned(place.host, place.port, timeout=TIMEOUT_S)
    if place.is_secure:
        connection.default_port = 443
    return connection


def _cut(connection: http.client.HTTPConnection) -> None:
    """End a connection whose server keeps talking, a byte at a time."""
    with suppress(OSError):  # it ended meanwhile
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _fault_words(host: str, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"{host} did not answer within {TIMEOUT_S:.0f} seconds."
    if isinstance(error, ssl.SSLError):
        return f"The certificate of {host} is not good, or it speaks no TLS."
    if isinstance(error, ConnectionRefusedError):
        return f"{host} refused the connection."
    return f"{host} could not be reached ({type(error).__name__})."
