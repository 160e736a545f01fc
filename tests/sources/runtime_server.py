"""A container runtime on a socket, by grpcio, that says what its containers are called.

`golden/containers.b64` is an answer as k8s.io/cri-api of 1.37 writes it: an engine, an exporter, and a container that
is none of Kubernetes.
"""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from pinfold.sources.cri import messages

GOLDEN = base64.b64decode((Path(__file__).parent / "golden/containers.b64").read_text())


class Runtime:
    """Answers with *answer*."""

    def __init__(self, path: Path) -> None:
        self.answer, self.asked = GOLDEN, 0
        handler = grpc.unary_unary_rpc_method_handler(self._list)
        self._server = grpc.server(ThreadPoolExecutor(2))
        methods = {"ListContainers": handler}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", methods),)
        )
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()

    def _list(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self.asked += 1
        return self.answer

    def stop(self) -> None:
        self._server.stop(grace=0).wait()


def answer(containers: dict[str, str]) -> bytes:
    response = messages()["ListContainersResponse"]()
    for key, name in containers.items():
        response.containers.add(id=key).labels["io.kubernetes.container.name"] = name
    return bytes(response.SerializeToString())
