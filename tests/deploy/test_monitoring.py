"""Alerts, recording rules, dashboards and monitors: by promtool's word, and against the metrics that the code tells."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.report.metrics_page import told

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy/monitoring"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
SPEC: dict[str, Any] = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())["spec"]
RULES: list[dict[str, Any]] = [rule for group in SPEC["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")


def checked(command: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *command.split(), str(file)], capture_output=True, text=True, check=False)


def asked(expression: str) -> set[str]:
    """The metrics in it."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', "", expression)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b(?:up|[a-z]+:[\w:]+|process_\w+|pinfold_\w+)\b", bare))


def queries(dashboard: Path) -> list[str]:
    panels = json.loads(dashboard.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def known() -> set[str]:
    return {sample for family in told() for sample in family.samples} | OTHERS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_what_the_code_tells(rule: dict[str, Any]) -> None:
    metrics = asked(rule["expr"])
    assert metrics
    assert metrics <= known()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_a_panel_asks_for_what_the_code_tells_or_a_rule_records(dashboard: Path) -> None:
    asked_for = [asked(query) for query in queries(dashboard)]
    assert all(asked_for)
    assert set().union(*asked_for) <= known() | RECORDED
    ids = [panel["id"] for panel in json.loads(dashboard.read_text())["panels"]]
    assert len(ids) == len(set(ids))


def test_the_clusters_dashboard_reads_sums_alone() -> None:
    (cluster,) = (path for path in DASHBOARDS if path.stem == "pinfold-cluster")
    assert {metric for query in queries(cluster) for metric in asked(query)} <= RECORDED


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
@promtool
def test_promtool_parses_every_query(dashboard: Path, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$node", "worker-1")}
        for number, query in enumerate(queries(dashboard))
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = checked("check rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_promtool_finds_no_fault_in_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    done = checked("check rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_every_alert_fires_for_what_it_is_for(tmp_path: Path) -> None:
    """Without their annotations: promtool would have each test repeat them."""
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in RULES]
    groups = [{"name": "all", "rules": bare}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    tests = yaml.safe_load(Path(__file__).with_name("alerts.yaml").read_text())
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({**tests, "rule_files": [str(tmp_path / "rules.yaml")]}))
    done = checked("test rules", tmp_path / "alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    cases = [case for test in tests["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_its_page(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"]["runbook_url"].endswith(f"docs/alerts/{name}")
    page = (ROOT / f"docs/alerts/{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    for heading in ("What it means", "What comes of it", "What to do"):
        assert f"## {heading}\n" in page


def test_no_page_is_left_of_an_alert_that_is_gone() -> None:
    assert {page.stem for page in (ROOT / "docs/alerts").glob("*.md")} == ALERTS.keys()


def test_what_a_sentence_names_is_a_label_of_the_alert() -> None:
    labels = {label for family in told() for label in family.labels} | {"node"}
    for alert in ALERTS.values():
        for text in alert["annotations"].values():
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels


def test_both_monitors_scrape_the_port_that_the_daemonset_names() -> None:
    daemonset = yaml.safe_load((ROOT / "deploy/base/daemonset.yaml").read_text())
    pod = daemonset["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    service, by_service = yaml.safe_load_all((MONITORING / "servicemonitor.yaml").read_text())
    *_, by_pod = yaml.safe_load_all((MONITORING / "podmonitor.yaml").read_text())
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (ports["metrics"], "metrics")
    (scrape,) = yaml.safe_load((MONITORING / "scrape.yaml").read_text())["scrape_configs"]
    for monitor, endpoints in ((by_service, "endpoints"), (by_pod, "podMetricsEndpoints")):
        (endpoint,) = monitor["spec"][endpoints]
        assert (endpoint["port"], endpoint["scheme"], endpoint["honorLabels"]) == ("metrics", "https", True)
        assert (scrape["scheme"], scrape["honor_labels"]) == ("https", True)
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
