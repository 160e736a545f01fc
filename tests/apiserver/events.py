"""What an API server checks of an Event. Source: ``pkg/apis/core/validation/events.go``, events.k8s.io/v1."""

import re
from collections.abc import Mapping
from typing import Any

_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def refused(event: Mapping[str, Any], namespace: str) -> str:
    """Why *event* is refused; empty where it is taken."""
    controller = str(event.get("reportingController", ""))
    domain, _, path = controller.partition("/")
    checks = {
        "metadata.name": _NAME.fullmatch(event["metadata"]["name"]),
        "metadata.namespace": event["metadata"].get("namespace") == namespace,
        "regarding.namespace": event["regarding"].get("namespace") == namespace,
        "eventTime": _MICRO_TIME.fullmatch(str(event.get("eventTime", ""))),
        "reportingController": _NAME.fullmatch(domain) and _LABEL.fullmatch(path or "x"),
        "reportingInstance": 0 < len(event.get("reportingInstance", "")) <= 128,
        "action": 0 < len(event.get("action", "")) <= 128,
        "reason": 0 < len(event.get("reason", "")) <= 128,
        "note": len(event.get("note", "").encode()) <= 1024,
        "type": event.get("type") in {"Normal", "Warning"},
        "series.count": event.get("series", {}).get("count", 2) >= 2,
    }
    return ", ".join(f"{name}: Invalid value" for name, good in checks.items() if not good)
