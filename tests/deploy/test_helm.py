"""The chart: what helm makes of three sets of values, against the Kubernetes schemas, the base and the code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.deploy.manifests import DEPLOY, Manifest, built, named

from pinfold import __version__
from pinfold.cli.main import parser
from pinfold.config import Config, load

CHART = DEPLOY / "helm/pinfold"
HELM = shutil.which("helm", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin")
CUSTOM = ("monitoring.coreos.com",)
SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "k3s-with-the-operator": {
        "runtime": "k3s",
        "image": {"repository": "registry.example/pinfold", "digest": f"sha256:{'0' * 64}"},
        "admissionPolicy": True,
        "config": {"topologyManagerPolicy": "single-numa-node", "report": {"events": False}},
        "metrics": {
            "tlsSecret": "pinfold-tls",
            "readers": [{"name": "prometheus-k8s", "namespace": "monitoring"}],
            "serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "kube-prometheus-stack"}},
            "prometheusRule": {"enabled": True},
            "dashboards": {"enabled": True},
        },
    },
    "unprivileged-and-alone": {
        "privileged": False,
        "runtime": "cri-o",
        "kubeletRootDir": "/data/kubelet",
        "metrics": {"port": 0},
        "resourceQuota": False,
        "extraEnv": [{"name": "PINFOLD_LOG_LEVEL", "value": "debug"}],
    },
}

pytestmark = pytest.mark.skipif(HELM is None, reason="helm is not installed: make tools builds it")


def helm(values: dict[str, Any], directory: Path, command: str = "template") -> subprocess.CompletedProcess[str]:
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    argv = [str(HELM), command, *(["pinfold"] if command == "template" else []), str(CHART)]
    options = ["--namespace", "pinfold-system", "--kube-version", "1.34", "--values", str(file)]
    return subprocess.run([*argv, *options], capture_output=True, text=True, check=False)


def templated(values: dict[str, Any], directory: Path) -> list[Manifest]:
    done = helm(values, directory)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def configured(manifests: list[Manifest], directory: Path) -> Config:
    file = directory / "config.yaml"
    file.write_text(named("ConfigMap", manifests)["data"]["config.yaml"])
    return load(file, {})


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_the_api_server_knows_every_field(values: dict[str, Any], tmp_path: Path) -> None:
    manifests = templated(values, tmp_path)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))
    for manifest in manifests:
        if not manifest["apiVersion"].startswith(CUSTOM):
            kubernetes_validate.validate(manifest, "1.34", strict=True)
    configured(manifests, tmp_path)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_helm_finds_no_fault(values: dict[str, Any], tmp_path: Path) -> None:
    done = helm(values, tmp_path, "lint")
    assert done.returncode == 0, done.stdout


def test_by_default_the_chart_is_the_base(tmp_path: Path) -> None:
    charted, base = templated({}, tmp_path), built("base")
    of_chart = named("DaemonSet", charted)["spec"]["template"]["spec"]
    of_base = named("DaemonSet", base)["spec"]["template"]["spec"]
    (mine,), (its) = of_chart.pop("containers"), of_base.pop("containers")[0]
    assert mine.pop("imagePullPolicy") == "IfNotPresent"
    places = {"bundles", "containerd", "crio"}  # the base takes either runtime
    for pod, container in ((of_chart, mine), (of_base, its)):
        container["volumeMounts"] = [one for one in container["volumeMounts"] if one["name"] not in places]
        pod["volumes"] = [one for one in pod["volumes"] if one["name"] not in places]
    for pod in (of_chart, of_base):
        for volume in pod["volumes"]:
            volume.get("configMap", {}).pop("name", None)
    assert mine == its
    assert of_chart == of_base
    assert named("ClusterRole", charted)["rules"] == named("ClusterRole", base)["rules"]
    (tmp_path / "base.yaml").write_text(named("ConfigMap", base)["data"]["config.yaml"])
    assert configured(charted, tmp_path) == load(tmp_path / "base.yaml", {})


def test_values_reach_their_places(tmp_path: Path) -> None:
    manifests = templated(SETS["k3s-with-the-operator"], tmp_path)
    config = configured(manifests, tmp_path)
    assert (config.topology_manager_policy.value, config.report.events) == ("single-numa-node", False)
    pod = named("DaemonSet", manifests)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == f"registry.example/pinfold@sha256:{'0' * 64}"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert config.report.tls_cert_file == f"{mounts['tls']}/tls.crt"
    assert mounts["bundles"] == "/run/k3s/containerd"
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    (rule,) = (one for one in manifests if one["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((DEPLOY / "monitoring/prometheusrule.yaml").read_text())["spec"]
    dashboards = named("ConfigMap", manifests, "pinfold-dashboards")["data"]
    assert {json.loads(text)["uid"] for text in dashboards.values()} == {"pinfold-cluster", "pinfold-node"}


def test_without_rights_and_metrics_there_are_none(tmp_path: Path) -> None:
    manifests = templated(SETS["unprivileged-and-alone"], tmp_path)
    config = configured(manifests, tmp_path)
    assert (config.exclusivity.value, config.sources.kubelet.root_dir) == ("shrink", "/data/kubelet")
    pod = named("DaemonSet", manifests)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not pod["hostPID"]
    assert [port["name"] for port in container["ports"]] == ["status"]
    groups = {group for rule in named("ClusterRole", manifests)["rules"] for group in rule["apiGroups"]}
    assert groups == {"", "events.k8s.io"}


def test_what_the_configuration_asks_for_has_its_right(tmp_path: Path) -> None:
    config = {
        "onUnsatisfied": "evict",
        "sources": {"kubelet": {"enabled": True}},
        "report": {"nodeResourceTopology": True},
    }
    rules = named("ClusterRole", templated({"config": config}, tmp_path))["rules"]
    of_overlays = [
        rule
        for overlay, role in (
            ("overlays/evict", "pinfold"),
            ("overlays/kubelet", "pinfold"),
            ("overlays/numa-aware", "pinfold-node-resource-topology"),
        )
        for rule in named("ClusterRole", built(overlay), role)["rules"]
    ]
    assert sorted(map(str, rules)) == sorted(set(map(str, of_overlays)))


def test_release_gives_back_with_the_daemons_rights_and_then_holds_none(tmp_path: Path) -> None:
    (running,) = named("DaemonSet", templated({}, tmp_path))["spec"]["template"]["spec"]["containers"]
    pod = named("DaemonSet", templated({"release": True}, tmp_path))["spec"]["template"]["spec"]
    (release,), (held,) = pod["initContainers"], pod["containers"]
    assert parser().parse_args(release["args"]).command == "release"
    assert {key: release[key] for key in ("env", "securityContext", "volumeMounts", "image")} == {
        key: running[key] for key in ("env", "securityContext", "volumeMounts", "image")
    }
    assert "volumeMounts" not in held


@pytest.mark.parametrize(
    ("values", "word"),
    [
        pytest.param({"runtime": "docker"}, "runtime", id="an-unknown-runtime"),
        pytest.param({"metrics": {"authentication": "none"}}, "authentication", id="no-such-word"),
        pytest.param({"config": {"topologyPolicy": "x"}}, "topologyPolicy", id="an-unknown-key-of-the-configuration"),
        pytest.param({"priviledged": True}, "priviledged", id="a-key-misspelt"),
        pytest.param({"image": {"digest": "latest"}}, "digest", id="no-digest"),
    ],
)
def test_a_wrong_value_is_told(values: dict[str, Any], word: str, tmp_path: Path) -> None:
    done = helm(values, tmp_path)
    assert done.returncode != 0
    assert word in done.stderr


def test_the_chart_has_the_version_of_the_code() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
