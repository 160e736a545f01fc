"""An inotify instance, and what to do when the node has none left."""

import errno
from typing import Final

from inotify_simple import INotify

from pinfold.errors import PinfoldError

NO_WATCH_LEFT: Final = "no inotify watch is left for this user: raise fs.inotify.max_user_watches with sysctl"


class InotifyLimitError(PinfoldError):
    """The kernel refuses another inotify instance: changes are seen at the timer only."""


def opened() -> INotify:
    """A non-blocking instance. Raises InotifyLimitError."""
    try:
        return INotify(nonblocking=True)
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            raise
        raise InotifyLimitError(
            "no inotify instance is left for this user: raise fs.inotify.max_user_instances with sysctl"
        ) from error
