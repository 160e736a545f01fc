"""Who may read the metrics over the network: whoever the API server lets ``get`` the path.

The bearer's token is shown to the API server (TokenReview), and then it is asked whether that user may (SubjectAccess-
Review), as the kubelet does for its own port. Verdicts are kept for a short while and in a bounded number; of reviews,
a few at once and a bounded number each minute, so that no stranger can use a node to load the API server. While that
cannot be asked, whoever was let in lately is let in: an outage is when metrics are needed.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pinfold.errors import PinfoldError

Create = Callable[[str, Mapping[str, object]], Mapping[str, Any]]
"""Path and object → the object as the API server created it. Raises PinfoldError where it did not."""

TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105  (a path)
SUBJECT_ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
MAX_TOKEN_CHARACTERS: Final = 16384


@dataclass(frozen=True, slots=True)
class Limits:
    allowed_s: float = 60.0
    """An allowed reader is asked about anew after this,"""
    outage_s: float = 600.0
    """and let in for so long where the API server cannot be asked."""
    refused_s: float = 10.0
    verdicts: int = 256
    reviewers: int = 4
    """Threads that may wait for the API server at once."""
    per_minute: int = 60
    """Reviews of tokens that are not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    status: HTTPStatus
    why: str = ""


ALLOWED: Final = Verdict(HTTPStatus.OK)
_BUSY: Final = Verdict(HTTPStatus.SERVICE_UNAVAILABLE, "too many readers are under review")


class Access:
    """For any number of threads."""

    def __init__(self, create: Create, limits: Limits = Limits(), clock: Callable[[], float] = time.monotonic) -> None:
        self._create, self._limits, self._clock = create, limits, clock
        self._lock = threading.Lock()
        self._reviewers = threading.BoundedSemaphore(limits.reviewers)
        self._kept: OrderedDict[bytes, tuple[Verdict, float]] = OrderedDict()
        """Digest of token and path → verdict, and when it was given."""
        self._minute = (clock(), 0)

    def verdict(self, authorization: str, path: str) -> Verdict:
        """On a GET of *path*; *authorization* is the header's text."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_CHARACTERS:
            return Verdict(HTTPStatus.UNAUTHORIZED, "a bearer token is needed")
        key = hashlib.sha256(f"{path}\0{token}".encode()).digest()  # no token is kept
        before, age_s = self._known(key)
        if before and age_s < (self._limits.allowed_s if before is ALLOWED else self._limits.refused_s):
            return before
        if not self._reviewers.acquire(blocking=False):
            return self._in_need(before, age_s, _BUSY)
        try:
            if not self._turn(before):
                return self._in_need(before, age_s, _BUSY)
            verdict = self._reviewed(token, path)
        except PinfoldError as error:
            no_answer = Verdict(HTTPStatus.SERVICE_UNAVAILABLE, f"the API server cannot be asked: {error}")
            return self._in_need(before, age_s, no_answer)
        finally:
            self._reviewers.release()
        self._keep(key, verdict)
        return verdict

    def _reviewed(self, token: str, path: str) -> Verdict:
        """Source: authentication.k8s.io/v1, authorization.k8s.io/v1; an answer in another form raises PinfoldError."""
        reviewed = _status(self._create(TOKEN_REVIEWS, _review("authentication", "TokenReview", {"token": token})))
        if reviewed.get("authenticated") is not True:
            return Verdict(HTTPStatus.UNAUTHORIZED, "the token is not known")
        if not isinstance(user := reviewed.get("user"), Mapping) or not user.get("username"):
            raise PinfoldError("it knows the token and names no user")
        spec: dict[str, object] = {"user": user["username"]}
        spec |= {name: user[name] for name in ("uid", "groups", "extra") if user.get(name)}
        spec["nonResourceAttributes"] = {"path": path, "verb": "get"}
        asked = _review("authorization", "SubjectAccessReview", spec)
        if _status(self._create(SUBJECT_ACCESS_REVIEWS, asked)).get("allowed") is True:
            return ALLOWED
        return Verdict(HTTPStatus.FORBIDDEN, f"the user of this token may not get {path}")

    def _in_need(self, before: Verdict | None, age_s: float, otherwise: Verdict) -> Verdict:
        return ALLOWED if before is ALLOWED and age_s < self._limits.outage_s else otherwise

    def _known(self, key: bytes) -> tuple[Verdict | None, float]:
        with self._lock:
            verdict, at = self._kept.get(key, (None, 0.0))
            return verdict, self._clock() - at

    def _keep(self, key: bytes, verdict: Verdict) -> None:
        with self._lock:
            self._kept[key] = (verdict, self._clock())
            self._kept.move_to_end(key)
            strangers = [key for key, (kept, _) in self._kept.items() if kept is not ALLOWED]
            while len(self._kept) > self._limits.verdicts:  # strangers first: they shall not push out who may read
                del self._kept[strangers.pop(0) if strangers else next(iter(self._kept))]

    def _turn(self, before: Verdict | None) -> bool:
        """Whether a review may be asked for now. Who was let in before needs no turn."""
        if before is ALLOWED:
            return True
        with self._lock:
            began, count = self._minute
            if self._clock() - began >= 60:
                began, count = self._clock(), 0
            self._minute = (began, count + 1)
            return count < self._limits.per_minute


def _review(group: str, kind: str, spec: Mapping[str, object]) -> dict[str, object]:
    return {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": spec}


def _status(created: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(status := created.get("status"), Mapping):
        return status
    raise PinfoldError("its review has no status")
