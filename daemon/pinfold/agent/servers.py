"""The servers that know this node's pods, as the configuration names them."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pinfold.config import Config
from pinfold.errors import PinfoldError
from pinfold.sources.client import SERVICE_ACCOUNT, ApiServer
from pinfold.sources.cri import Cri
from pinfold.sources.kubelet import KubeletPods
from pinfold.sources.pods_api import SOCKET, PodsApi

_NEEDS = "needs the Python packages h2 and protobuf: pip install 'pinfold[grpc]'."


class SourceError(PinfoldError):
    """No source of pods is configured, or one cannot be asked at all."""


def api_server(config: Config) -> ApiServer | None:
    """None where it is switched off, or ``auto`` and nothing names one. Raises SourceError."""
    source = config.sources.api_server
    inside = "KUBERNETES_SERVICE_HOST" in os.environ
    if source.enabled is False or (source.enabled == "auto" and not (source.kubeconfig or inside)):
        return None
    if not config.node_name:
        raise SourceError("the API server is to be asked for this node's pods, but nodeName is not set. Set NODE_NAME.")
    return ApiServer.from_kubeconfig(Path(source.kubeconfig)) if source.kubeconfig else ApiServer.in_cluster()


def kubelet(config: Config, wake: Callable[[], None]) -> KubeletPods | None:
    """None where it is not to be asked."""
    source = config.sources.kubelet
    if not source.enabled:
        return None
    own = Path(source.root_dir) / "pki/kubelet.crt"
    is_itself = not source.ca_file and own.is_file()
    trust = own if is_itself else Path(source.ca_file or SERVICE_ACCOUNT / "ca.crt")
    kubeconfig = Path(path) if (path := config.sources.api_server.kubeconfig) else None
    server = ApiServer.at_kubelet(source.address, trust, "" if is_itself else config.node_name, kubeconfig)
    return KubeletPods(server, wake, config.cpu_manager_reconcile_period)


def pods_api(config: Config, wake: Callable[[], None]) -> PodsApi | None:
    """None where it is not to be watched. Raises SourceError."""
    enabled, root = config.sources.pods_api.enabled, Path(config.sources.kubelet.root_dir)
    if enabled is False or (enabled == "auto" and not (root / SOCKET).is_socket()):
        return None
    if _speaks_grpc():
        return PodsApi(root, wake)
    if enabled == "auto":
        return None
    raise SourceError(f"sources.podsApi {_NEEDS}")


def cri(config: Config, wake: Callable[[], None]) -> Cri | None:
    """None where the runtime is not to be asked. Raises SourceError."""
    if not (endpoint := config.sources.cri.endpoint):
        return None
    if not _speaks_grpc():
        raise SourceError(f"sources.cri {_NEEDS}")
    return Cri(Path(endpoint.removeprefix("unix://")), wake)


def _speaks_grpc() -> bool:
    try:
        return all(find_spec(name) for name in ("h2", "google.protobuf"))
    except ModuleNotFoundError:  # nor anything of google's
        return False
