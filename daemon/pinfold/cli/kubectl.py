"""``kubectl pinfold``: the commands of a node on any node of the cluster, or on all of them at once.

As kubectl's plugin it asks through kubectl itself, so that contexts, credentials and proxies are those of the person
who asks: the command runs in the node's own pod of the DaemonSet. Only ``release`` is another thing: there the daemon
must go first, so the DaemonSet is changed as ``deploy/components/release`` changes it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pinfold.errors import PinfoldError
from pinfold.report.plain import plain

NAMESPACE = "pinfold-system"
NAME = "pinfold"
COMMANDS = ("status", "explain", "top", "events", "topology", "verify", "release")
AT_ONCE = 16
"""Nodes that are asked at the same time."""
RELEASED: Mapping[str, Any] = {
    "name": "released",
    "command": ["sleep", "infinity"],
    "resources": {"requests": {"cpu": "1m", "memory": "4Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""What runs on a node that has been released, so that the DaemonSet can tell that it has."""


class KubectlError(PinfoldError):
    """kubectl cannot be run, or refused; or there is no pod of Pinfold where one was asked for."""


@dataclass(frozen=True, slots=True)
class Cluster:
    flags: tuple[str, ...]
    """kubectl's own, which name another cluster."""
    namespace: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Raises KubectlError where there is no kubectl."""
        try:
            return subprocess.run(self.argv(*arguments), capture_output=True, text=True, check=False)  # noqa: S603
        except FileNotFoundError as error:
            raise KubectlError("there is no kubectl in PATH. Install it: kubectl pinfold asks through it.") from error

    def argv(self, *arguments: str) -> list[str]:
        return ["kubectl", *self.flags, *arguments]

    def raw(self, path: str) -> dict[str, Any]:
        """The object at *path* of the API. Raises KubectlError."""
        ended = self.run("get", "--raw", path)
        if ended.returncode:
            raise KubectlError(ended.stderr.strip() or f"kubectl get --raw {path} failed")
        document: dict[str, Any] = json.loads(ended.stdout)
        return document

    def pods(self) -> dict[str, str]:
        """Node → the pod of the DaemonSet that runs there."""
        selector = quote(f"app.kubernetes.io/name={NAME}", safe="")
        found = self.raw(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector}")["items"]
        return {
            pod["spec"]["nodeName"]: pod["metadata"]["name"]
            for pod in found
            if pod["spec"].get("nodeName") and pod.get("status", {}).get("phase") == "Running"
        }

    def command(self, pod: str, arguments: Sequence[str], *flags: str) -> list[str]:
        return ["exec", *flags, "--namespace", self.namespace, pod, "--container", NAME, "--", "pinfold", *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    top = parser()
    options, rest = top.parse_known_args(arguments)
    flags = [f"--{name}={value}" for name in ("context", "kubeconfig") if (value := getattr(options, name))]
    cluster = Cluster(tuple(flags), options.namespace)
    try:
        if options.command == "release":
            if not options.all_nodes or rest:
                top.error("release gives every node back: say --all-nodes, and nothing more")
            return _release(cluster)
        return _asked(cluster, options, rest)
    except PinfoldError as error:
        print("kubectl-pinfold:", plain(str(error)), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="kubectl pinfold",
        description="Ask Pinfold on a node of the cluster, or on all of them.",
        epilog="What else is said goes to the command: kubectl pinfold status --all-nodes -o json. "
        "explain NAMESPACE/POD finds its node.",
    )
    top.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    where = top.add_mutually_exclusive_group()
    where.add_argument("--node", help="the node to ask")
    where.add_argument("--all-nodes", action="store_true", help="ask them all; with release: give them all back")
    top.add_argument("-n", "--namespace", default=NAMESPACE, help=f"where the DaemonSet is ({NAMESPACE})")
    top.add_argument("--context", help="as kubectl's")
    top.add_argument("--kubeconfig", help="as kubectl's")
    return top


def _asked(cluster: Cluster, options: argparse.Namespace, rest: Sequence[str]) -> int:
    pods = cluster.pods()
    if not pods:
        raise KubectlError(f"no pod of Pinfold runs in namespace {cluster.namespace}. Name another with -n.")
    if options.all_nodes:
        return _everywhere(cluster, pods, [options.command, *rest])
    node = options.node or (_node_of(cluster, rest) if options.command == "explain" else None)
    if node is None:
        raise KubectlError(f"which node? Say --all-nodes, or --node with one of {', '.join(sorted(pods))}.")
    if node not in pods:
        raise KubectlError(f"no pod of Pinfold runs on {node}. It runs on {', '.join(sorted(pods))}.")
    flags = ("--stdin", "--tty") if sys.stdin.isatty() and sys.stdout.isatty() else ()
    argv = cluster.argv(*cluster.command(pods[node], [options.command, *rest], *flags))
    return subprocess.run(argv, check=False).returncode  # noqa: S603


def _node_of(cluster: Cluster, rest: Sequence[str]) -> str | None:
    """The node of the pod that *rest* names, where it does."""
    name = next((word for word in rest if not word.startswith("-")), None)
    if name is None:
        return None
    namespace, _, pod = name.rpartition("/")
    found = cluster.raw(f"/api/v1/namespaces/{quote(namespace or 'default')}/pods/{quote(pod, safe='')}")
    node: str | None = found["spec"].get("nodeName")
    return node


def _everywhere(cluster: Cluster, pods: Mapping[str, str], arguments: Sequence[str]) -> int:
    """The answer of each node under its name; as JSON one object with the nodes' names as keys."""
    nodes = sorted(pods)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        ended = list(threads.map(lambda node: cluster.run(*cluster.command(pods[node], arguments)), nodes))
    if _as_json(arguments):
        answers = {node: json.loads(one.stdout) for node, one in zip(nodes, ended, strict=True) if one.stdout.strip()}
        json.dump({"nodes": answers}, sys.stdout, indent=2)
        print()
    for node, one in zip(nodes, ended, strict=True):
        if one.stdout and not _as_json(arguments):
            print(f"== {node} ==\n{one.stdout}")
        if one.returncode:
            print(f"kubectl-pinfold: {node}: {plain(one.stderr.strip())}", file=sys.stderr)
    return 1 if any(one.returncode for one in ended) else 0


def _as_json(arguments: Sequence[str]) -> bool:
    joined = " ".join(arguments)
    return any(form in joined for form in ("-o json", "-ojson", "--output json", "--output=json"))


def _release(cluster: Cluster) -> int:
    path = f"/apis/apps/v1/namespaces/{cluster.namespace}/daemonsets/{NAME}"
    template = cluster.raw(path)["spec"]["template"]["spec"]
    patch = json.dumps(releasing(template["containers"][0]))
    where = ("--namespace", cluster.namespace, f"daemonset/{NAME}")
    ended = cluster.run("patch", *where, "--type=json", f"--patch={patch}")
    if ended.returncode:
        raise KubectlError(ended.stderr.strip() or "kubectl patch failed")
    print("The nodes are being given back. When all are, this ends, and the DaemonSet can go:")
    for step in ("rollout status", "delete"):
        print(f"  kubectl {step} --namespace {cluster.namespace} daemonset/{NAME}")
    return 0


def releasing(container: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch of a DaemonSet with this one *container* that makes it give its nodes back."""
    spec = "/spec/template/spec"
    first = f"{spec}/initContainers/0"
    absent: Iterable[str] = ("ports", "startupProbe", "livenessProbe", "readinessProbe")
    return [
        {"op": "move", "from": f"{spec}/containers", "path": f"{spec}/initContainers"},
        {"op": "replace", "path": f"{first}/args", "value": ["release"]},
        *({"op": "remove", "path": f"{first}/{name}"} for name in absent if name in container),
        {"op": "add", "path": f"{spec}/containers", "value": [{**RELEASED, "image": container["image"]}]},
        {"op": "replace", "path": "/spec/updateStrategy/rollingUpdate/maxUnavailable", "value": "100%"},
    ]


if __name__ == "__main__":
    sys.exit(main())
