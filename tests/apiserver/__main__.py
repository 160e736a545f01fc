"""Run the test API server by itself: ``python -m tests.apiserver --kubeconfig FILE [--port N] [POD.json ...]``.

Pods come and go by POST, PUT and DELETE on /api/v1/namespaces/NAMESPACE/pods, as in a cluster.
"""

import argparse
import json
import signal
from pathlib import Path

from tests.apiserver.server import LocalApiServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.apiserver", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write one that leads here")
    parser.add_argument("pods", type=Path, nargs="*", help="JSON files, a pod each")
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with LocalApiServer(arguments.port) as server:
        for path in arguments.pods:
            server.put_pod(json.loads(path.read_text()))
        server.kubeconfig(arguments.kubeconfig)
        print(server.url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
