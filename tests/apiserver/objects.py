"""Objects of any kind, kept by their path, with the one rule that matters: who writes must have seen the newest."""

import itertools
from collections.abc import Mapping
from typing import Any

DISCOVERY: Mapping[str, Mapping[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}
        ],
    },
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "groupVersion": "apps/v1",
        "resources": [
            {
                "name": "daemonsets",
                "singularName": "daemonset",
                "namespaced": True,
                "kind": "DaemonSet",
                "verbs": ["get", "list", "patch"],
            }
        ],
    },
}
"""What kubectl asks first: which kinds there are."""


class Objects:
    def __init__(self) -> None:
        self.collections: set[str] = set()
        """Paths in which objects can be made: the kind is installed."""
        self.by_path: dict[str, dict[str, Any]] = {}
        self.patches: list[tuple[str, Any]] = []
        """(path, patch) of each that was taken; what it would do is kubectl's and kustomize's to say."""
        self._version = itertools.count(1)

    def knows(self, path: str) -> bool:
        return path in DISCOVERY or path in self.by_path or path in self.collections or self._above(path)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401
        """The code, and the object or the message of a refusal."""
        match method:
            case "GET" if path in DISCOVERY:
                return 200, DISCOVERY[path]
            case "POST" if path in self.collections:
                place = f"{path}/{body['metadata']['name']}"
                return (409, f"{place} already exists") if place in self.by_path else (201, self._kept(place, body))
            case _ if path not in self.by_path:
                return 404, f"{path} not found"
            case "GET":
                return 200, self.by_path[path]
            case "PUT":
                held = self.by_path[path]["metadata"]["resourceVersion"]
                if body["metadata"].get("resourceVersion", held) != held:
                    return 409, "the object has been modified"
                return 200, self._kept(path, body)
            case "PATCH":
                self.patches.append((path, body))
                return 200, self.by_path[path]
            case "DELETE":
                return 200, self.by_path.pop(path)
            case _:
                return 405, "method not allowed"

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """As by another client."""
        self._kept(path, body)

    def _above(self, path: str) -> bool:
        return path.rpartition("/")[0] in self.collections

    def _kept(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        metadata = {**body["metadata"], "resourceVersion": str(next(self._version))}
        self.by_path[path] = {**body, "metadata": metadata}
        return self.by_path[path]
