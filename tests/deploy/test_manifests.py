"""What is deployed: each manifest against the Kubernetes schemas, and all of them against each other and the code."""

import json
import re
import shutil
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from tests.deploy.manifests import DEPLOY, FLAT, OVERLAYS, SCHEMA, Manifest, built, config_keys, kustomized, named

from pinfold import __version__
from pinfold.cli.main import parser
from pinfold.config import Config, MetricsAuthentication, load
from pinfold.report.events import CONTROLLER
from pinfold.sources.bundles import DEFAULT_PLACES

README = DEPLOY.parent / "README.md"
VERSIONS = ("1.25", "1.29", "1.34", "1.37")


def documents(file: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(file.read_text()))


def kustomization(name: str) -> Manifest:
    (only,) = documents(DEPLOY / name / "kustomization.yaml")
    return only


BASE = [manifest for name in kustomization("base")["resources"] for manifest in documents(DEPLOY / "base" / name)]


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


def test_the_readmes_line_names_the_registry(tmp_path: Path) -> None:
    (line, file), *more = re.findall(r"^\$ echo '(.*)' >> deploy/(\S+)$", README.read_text(), re.MULTILINE)
    assert not more
    deploy = shutil.copytree(DEPLOY, tmp_path / "deploy")
    with (deploy / file).open("a") as kustomization:
        kustomization.write(f"{line}\n")
    manifests: list[Manifest] = list(yaml.safe_load_all(kustomized("base", deploy)))
    (container,) = named("DaemonSet", manifests)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"REGISTRY/pinfold:{__version__}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [pytest.param(one, id=f"{one['kind']}-{one['metadata']['name']}") for one in BASE])
def test_the_api_server_knows_every_field(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("name", ["base", "release", *OVERLAYS])
def test_what_kustomize_builds_is_known_too(name: str) -> None:
    manifests = built(name)
    assert {manifest["kind"] for manifest in manifests} >= {manifest["kind"] for manifest in BASE} | {"ConfigMap"}
    for manifest in manifests:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("version", ["1.30", VERSIONS[-1]])
def test_the_admission_policy_is_known_from_its_first_version_on(version: str) -> None:
    for manifest in documents(DEPLOY / "components/admission-policy/policy.yaml"):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_admission_policy_is_for_the_account_and_the_instance_that_pinfold_uses() -> None:
    policy, binding = documents(DEPLOY / "components/admission-policy/policy.yaml")
    account = named("ServiceAccount", BASE)["metadata"]
    (condition,) = policy["spec"]["matchConditions"]
    assert f'"system:serviceaccount:{account["namespace"]}:{account["name"]}"' in condition["expression"]
    assert f'"{CONTROLLER}"' in policy["spec"]["validations"][1]["expression"]
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]


def test_the_flat_file_is_the_base() -> None:
    def by_name(manifests: list[Manifest]) -> list[Manifest]:
        return sorted(manifests, key=lambda one: (one["kind"], one["metadata"]["name"]))

    assert by_name(documents(FLAT)) == by_name(built("base")), "make docs writes it anew"


def test_the_charts_schema_knows_every_value_and_every_key_of_the_configuration() -> None:
    schema = json.loads(SCHEMA.read_text())["properties"]
    assert schema.keys() - {"global"} == documents(SCHEMA.with_name("values.yaml"))[0].keys()
    assert schema["config"]["properties"] == config_keys(), "make docs writes it anew"


@pytest.mark.parametrize("name", ["base", "release", *OVERLAYS])
def test_every_mount_has_its_volume_in_every_overlay(name: str) -> None:
    pod = named("DaemonSet", built(name))["spec"]["template"]["spec"]
    (pinfold,) = (one for one in (*pod.get("initContainers", ()), *pod["containers"]) if one["name"] == "pinfold")
    mounts = {mount["name"]: mount["mountPath"] for mount in pinfold["volumeMounts"]}
    paths = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in pod["volumes"]}
    assert mounts.keys() == paths.keys()
    assert {name: path for name, path in paths.items() if path} == {
        name: mounts[name] for name in mounts if paths[name]
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_speaks_of_one_place_of_bundles_that_the_code_knows(name: str) -> None:
    pod = named("DaemonSet", built(name))["spec"]["template"]["spec"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert any(place.startswith(f"{mount}/") for mount in mounts for place in DEFAULT_PLACES)


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_an_overlay_sets_is_a_configuration(name: str) -> None:
    (container,) = named("DaemonSet", built(name))["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"] if one["name"].startswith("PINFOLD_")}
    del environment["PINFOLD_REPORT_METRICS_LISTEN"]  # the base's, which the node's address goes into
    dumped = str(load(DEPLOY / "base/config.yaml", environment).dumped())
    assert all(str(yaml.safe_load(value)) in dumped for value in environment.values())


@pytest.mark.parametrize(
    ("name", "resources", "verb"),
    [
        pytest.param("overlays/evict", ["pods/eviction"], "create", id="evict"),
        pytest.param("overlays/kubelet", ["nodes/pods", "nodes/configz"], "get", id="kubelet"),
    ],
)
def test_a_right_that_not_everybody_needs_is_in_its_overlay_alone(name: str, resources: list[str], verb: str) -> None:
    assert named("ClusterRole", built(name))["rules"] == [
        *named("ClusterRole", BASE)["rules"],
        {"apiGroups": [""], "resources": resources, "verbs": [verb]},
    ]


def test_the_unprivileged_overlay_holds_no_right() -> None:
    pod = named("DaemonSet", built("overlays/unprivileged"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert not pod["hostPID"]
    assert container["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsUser": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


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
