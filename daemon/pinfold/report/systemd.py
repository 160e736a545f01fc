"""What the service manager is told: ready, alive, reloading, stopping.

Source: sd_notify(3). Ten lines, so no library; silent where no service manager asked (NOTIFY_SOCKET).
"""

import os
import socket


def notify(*states: str) -> None:
    """Send ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``, ``STATUS=…``. A manager that does not listen is no error."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
        try:
            channel.sendto("\n".join(states).encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            return


def watchdog_s() -> float:
    """How long the service manager waits for a sign of life; infinite where it waits for none.

    Source: sd_watchdog_enabled(3).
    """
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() and int(text) else float("inf")
