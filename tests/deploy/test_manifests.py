"""What is deployed: each manifest against the Kubernetes schemas, and all of them against each other and the code."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pinfold import __version__
from pinfold.cli.main import parser
from pinfold.config import Config, MetricsAuthentication, load

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
VERSIONS = ("1.25", "1.29", "1.34", "1.37")

Manifest = dict[str, Any]


def documents(file: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(file.read_text()))


def kustomization(name: str) -> Manifest:
    (only,) = documents(DEPLOY / name / "kustomization.yaml")
    return only


BASE = [manifest for name in kustomization("base")["resources"] for manifest in documents(DEPLOY / "base" / name)]


def named(kind: str, manifests: list[Manifest], name: str = "pinfold") -> Manifest:
    """The only one of its kind, or that of the *name*."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    (only,) = found if len(found) == 1 else (one for one in found if one["metadata"]["name"] == name)
    return only


def built(name: str) -> list[Manifest]:
    """As kustomize builds it; skips the test where there is none."""
    if shutil.which("kustomize"):
        build = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        build = ["kubectl", "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl here")
    done = subprocess.run([*build, DEPLOY / name], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def pod() -> Manifest:
    spec: Manifest = named("DaemonSet", BASE)["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def container(pod: Manifest) -> Manifest:
    only: Manifest
    (only,) = pod["containers"]
    return only


@pytest.fixture
def config(container: Manifest) -> Config:
    """As the daemon reads it in a pod on a node with an address."""
    fields = {"spec.nodeName": "node-1", "status.hostIP": "192.0.2.7"}
    environment: dict[str, str] = {}
    for variable in container["env"]:
        value = variable.get("value") or fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for name, known in environment.items():
            value = value.replace(f"$({name})", known)
        environment[variable["name"]] = value
    return load(DEPLOY / "base/config.yaml", environment)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [pytest.param(one, id=f"{one['kind']}-{one['metadata']['name']}") for one in BASE])
def test_the_api_server_knows_every_field(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("name", ["base", "release"])
def test_what_kustomize_builds_is_known_too(name: str) -> None:
    manifests = built(name)
    assert {manifest["kind"] for manifest in manifests} >= {manifest["kind"] for manifest in BASE} | {"ConfigMap"}
    for manifest in manifests:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_everything_with_a_namespace_is_in_the_one_that_is_made() -> None:
    namespace = named("Namespace", BASE)["metadata"]["name"]
    generated = [{"metadata": one} for one in kustomization("base")["configMapGenerator"]]
    placed = [one["metadata"]["namespace"] for one in [*BASE, *generated] if "namespace" in one["metadata"]]
    cluster_wide = {one["kind"] for one in BASE if "namespace" not in one["metadata"]}
    assert set(placed) == {namespace}
    assert cluster_wide == {"Namespace", "ClusterRole", "ClusterRoleBinding"}


def test_the_selector_finds_the_pods() -> None:
    spec = named("DaemonSet", BASE)["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_pods_account_is_the_one_that_has_the_role(pod: Manifest) -> None:
    account, binding = named("ServiceAccount", BASE)["metadata"], named("ClusterRoleBinding", BASE)
    assert pod["serviceAccountName"] == account["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
    assert binding["roleRef"]["name"] == named("ClusterRole", BASE)["metadata"]["name"]


def test_the_role_reads_pods_writes_events_asks_for_reviews_and_nothing_else() -> None:
    assert named("ClusterRole", BASE)["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]


def test_who_scrapes_may_get_the_metrics_and_nothing_else() -> None:
    assert named("ClusterRole", BASE, "pinfold-metrics-reader")["rules"] == [
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    ]


def test_every_mount_has_its_volume_and_every_volume_its_mount(pod: Manifest, container: Manifest) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    for name, mount in mounts.items():
        if "hostPath" in volumes[name]:  # the code knows the host's paths
            assert mount["mountPath"] == volumes[name]["hostPath"]["path"]
    assert volumes["config"]["configMap"]["name"] in {
        one["name"] for one in kustomization("base")["configMapGenerator"]
    }


def test_the_daemon_finds_its_files_where_they_are_mounted(container: Manifest, config: Config) -> None:
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts[config.state_dir] is False
    assert mounts[config.cgroup_mount] is False
    assert mounts[config.sources.kubelet.root_dir] is True


def test_the_probes_ask_where_the_daemon_listens(container: Manifest, config: Config) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert f"{asked['host']}:{ports[asked['port']]}" == config.report.listen
    assert config.report.metrics_listen == f"192.0.2.7:{ports['metrics']}"


def test_the_metrics_are_for_whom_the_api_server_lets(config: Config) -> None:
    assert config.report.metrics_authentication is MetricsAuthentication.WEBHOOK


def test_the_node_is_named_by_the_downward_api(config: Config) -> None:
    assert config.node_name == "node-1"


def test_the_arguments_are_commands_of_pinfold(container: Manifest) -> None:
    assert parser().parse_args(container["args"]).command == "run"


def test_the_image_has_the_version_of_the_code(container: Manifest) -> None:
    for name in ("base", "release"):
        (image,) = kustomization(name)["images"]
        assert image == {"name": container["image"], "newTag": __version__}
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text()
    assert f'org.opencontainers.image.version="{__version__}"' in dockerfile


def test_release_runs_with_the_daemons_rights_and_then_holds_none(container: Manifest) -> None:
    spec = named("DaemonSet", built("release"))["spec"]["template"]["spec"]
    (release,), (held,) = spec["initContainers"], spec["containers"]
    assert parser().parse_args(release["args"]).command == "release"
    for right in ("env", "securityContext", "volumeMounts"):
        assert release[right] == container[right]
    assert not held["securityContext"].get("privileged")
    assert "volumeMounts" not in held
    assert held["image"] == release["image"]
