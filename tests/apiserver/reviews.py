"""TokenReview and SubjectAccessReview, as an API server answers them (authentication.k8s.io, authorization.k8s.io)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PATHS = {
    "/apis/authentication.k8s.io/v1/tokenreviews": "TokenReview",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews": "SubjectAccessReview",
}


@dataclass(frozen=True, slots=True)
class User:
    name: str
    may_get: frozenset[str] = frozenset()
    """Non-resource paths."""
    groups: tuple[str, ...] = ("system:serviceaccounts", "system:authenticated")


def reviewed(review: Mapping[str, Any], users: Mapping[str, User]) -> dict[str, Any]:
    spec = review["spec"]
    if review["kind"] == "TokenReview":
        user = users.get(spec["token"])
        told = {"username": user.name, "uid": f"uid-of-{user.name}", "groups": list(user.groups)} if user else {}
        status: dict[str, Any] = {"authenticated": True, "user": told} if user else {"error": "invalid bearer token"}
    else:
        asked = spec["nonResourceAttributes"]
        known = [user for user in users.values() if user.name == spec["user"] and list(user.groups) == spec["groups"]]
        allowed = any(asked["verb"] == "get" and asked["path"] in user.may_get for user in known)
        status = {"allowed": allowed}
    return {**review, "status": status}
