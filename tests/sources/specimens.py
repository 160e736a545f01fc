"""Pods as an API server sends them, with all that a real one carries."""

from typing import Any

Pod = dict[str, Any]
SECRET = "hunter2"  # noqa: S105 what must not be found again


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def pod(number: int, *, name: str = "", node: str = "here", cpu: str = "2") -> dict[str, Any]:
    """A running Guaranteed pod with a pool of *cpu* CPUs, an engine, a sidecar and an init container."""
    amounts = {"cpu": cpu, "memory": "2Gi"}
    half = {"cpu": "1", "memory": "1Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"engine-{number}",
            "namespace": "trading",
            "uid": uid(number),
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-02T08:00:00Z",
            "labels": {"app": "engine"},
            "annotations": {
                "pinfold.dev/scope": "pod",
                "kubectl.kubernetes.io/last-applied-configuration": SECRET * 50,
            },
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {SECRET: {}}}}],
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "engine", "uid": uid(9), "controller": True}
            ],
        },
        "spec": {
            "nodeName": node,
            "resources": {"requests": amounts, "limits": amounts},
            "volumes": [{"name": "key", "secret": {"secretName": SECRET}}],
            "initContainers": [
                {"name": "fetch", "image": "fetch:1", "args": [SECRET]},
                {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always", "resources": {"requests": {}}},
            ],
            "containers": [
                {
                    "name": "engine",
                    "image": "engine:1",
                    "command": ["/engine", SECRET],
                    "env": [{"name": "PASSWORD", "value": SECRET}],
                    "resources": {"requests": half, "limits": half, "claims": []},
                    "volumeMounts": [{"name": "key", "mountPath": "/key"}],
                },
                {"name": "exporter", "image": "exporter:1"},
            ],
            "ephemeralContainers": [{"name": "debug", "image": "busybox", "stdin": True}],
            "tolerations": [{"operator": "Exists"}],
        },
        "status": {
            "phase": "Running",
            "qosClass": "Guaranteed",
            "startTime": "2026-11-02T08:00:01Z",
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True", "message": SECRET}],
            "containerStatuses": [
                {
                    "name": "engine",
                    "containerID": "containerd://" + f"{number:064x}",
                    "image": "engine:1",
                    "state": {"terminated": {"message": SECRET}},
                    "allocatedResources": half,
                    "resources": {"requests": half, "limits": half},
                }
            ],
        },
    }


def large(number: int, length: int) -> Pod:
    """One whose environment holds *length* characters of which Go's JSON makes six bytes each."""
    made = pod(number)
    made["spec"]["containers"][0]["env"][0]["value"] = "<" * length
    return made
