"""Metrics against a second reading of the format, and against the snapshot they are computed from."""

import gzip
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from tests.report.samples import crowd, picture

from pinfold.report.exposition import exposition, registry
from pinfold.report.snapshot import Mode, Snapshot
from pinfold.report.usage import total

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3"


CGROUP_FILES = {
    "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nnr_periods 40\nnr_throttled 3\nthrottled_usec 125000",
    "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=750000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=250000",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000\n",
}
NOW = 1795507260.0


def kernel(cgroup: str, files: tuple[str, ...]) -> dict[str, str]:
    """Linux 6.12's words, the same in every cgroup; io.pressure is not there."""
    assert cgroup
    return {file: CGROUP_FILES[file] for file in files if file in CGROUP_FILES}


def scraped(of: Snapshot | None) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Sample name and sorted labels → value; the same series twice is an error, as it is for Prometheus."""
    body, _ = exposition(registry(lambda: of, kernel, lambda: NOW), "")
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in read_text(body.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples
            samples[key] = sample.value
    return samples


def labelled(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"pinfold_{name}", tuple(sorted(labels.items()))


def usage(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return labelled(f"pod_{name}", namespace="trading", pod="match-engine", **labels)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(labelled("cpus", numa_node="0", kind="exclusive"), 3, id="the-engines-slice"),
        pytest.param(labelled("cpus", numa_node="0", kind="pod_shared"), 1, id="the-rest-of-its-pool"),
        pytest.param(labelled("cpus", numa_node="0", kind="node_shared"), 10, id="without-the-reserved"),
        pytest.param(labelled("cpus", numa_node="0", kind="reserved"), 2, id="the-reserved"),
        pytest.param(labelled("cpus", numa_node="1", kind="reserved"), 0, id="a-zero-is-a-series-too"),
        pytest.param(labelled("cpu_manager_shared_pool_size_millicores"), 22_000, id="shared-pool-without-reserved"),
        pytest.param(labelled("cpu_manager_exclusive_cpu_allocation_count"), 8, id="all-that-pods-own"),
        pytest.param(labelled("cpu_manager_allocation_per_numa", numa_node="1"), 4, id="by-numa-node"),
        pytest.param(labelled("pods", outcome="pinned"), 2, id="pinned-pods"),
        pytest.param(labelled("pods", outcome="ending"), 0, id="no-pod-ends"),
        pytest.param(labelled("refused_pods", reason="TopologyAffinityError"), 1, id="the-kubelets-reason-word"),
        pytest.param(labelled("refusals_total", reason="TopologyAffinityError"), 1, id="the-same-counted"),
        pytest.param(labelled("invalid_pods", reason="InvalidUid"), 1, id="no-pod-at-all"),
        pytest.param(labelled("pod_pool_cpus", namespace="db", pod="postgres"), 4, id="a-pods-pool"),
        pytest.param(labelled("pod_exclusive_cpus", namespace="db", pod="postgres"), 3, id="a-pods-slices"),
        pytest.param(labelled("pod_drifted_files", namespace="db", pod="postgres"), 1, id="drift-of-a-pod"),
        pytest.param(
            labelled("resource_manager_container_assignments", resource_name="cpu", assignment_type="pod_exclusive"),
            2,
            id="engine-and-postgres",
        ),
        pytest.param(
            labelled("resource_manager_container_assignments", resource_name="memory", assignment_type="pod_shared"),
            3,
            id="exporter-proxy-and-shipper",
        ),
        pytest.param(
            labelled("container_aligned_compute_resources_count", scope="pod", boundary="numa_node"),
            2,
            id="both-pools-lie-on-one-node",
        ),
        pytest.param(labelled("writes_total"), 9, id="writes"),
        pytest.param(labelled("writes_refused_total"), 1, id="refused-writes"),
        pytest.param(labelled("drift_repaired_total", cause="rewritten"), 2, id="repairs-by-cause"),
        pytest.param(labelled("errors_total", kind="WriteRefusedError"), 1, id="errors-by-kind"),
        pytest.param(labelled("reconcile_duration_seconds_count"), 2, id="reconciles"),
        pytest.param(labelled("reconcile_duration_seconds_bucket", le="0.005"), 1, id="the-quick-one"),
        pytest.param(labelled("mode", mode="enforcing"), 1, id="enforcing"),
        pytest.param(labelled("mode", mode="observing"), 0, id="not-observing"),
        pytest.param(labelled("exclusivity", exclusivity="partition"), 1, id="by-partition"),
        pytest.param(labelled("source_healthy", source="api-server"), 0, id="a-sick-source"),
        pytest.param(labelled("source_reconnects_total", source="api-server"), 3, id="and-its-reconnects"),
        pytest.param(labelled("source_lag_seconds", source="manifests"), 0, id="a-well-source-is-not-behind"),
        pytest.param(labelled("source_lag_seconds", source="api-server"), 7260, id="unheard-since-the-start"),
        pytest.param(labelled("events_sent_total"), 7, id="events-sent"),
        pytest.param(labelled("warnings"), 1, id="warnings"),
        pytest.param(
            labelled("pod_numa_memory_bytes", namespace="db", pod="postgres", numa_node="1"), 3 << 30, id="memory"
        ),
        pytest.param(labelled("pod_memory_local_share", namespace="db", pod="postgres"), 0.75, id="of-it-local"),
        pytest.param(
            labelled("pod_memory_protected_bytes", namespace="db", pod="postgres", level="low"), 8 << 30, id="protected"
        ),
        pytest.param(labelled("memory_migrations_total", result="done"), 2, id="migrations"),
        pytest.param(labelled("memory_migration_left_bytes"), 1024, id="the-one-under-way"),
        pytest.param(usage("cpu_usage_seconds_total", container=""), 2.5, id="cpu-time-of-the-pod"),
        pytest.param(usage("cpu_cfs_throttled_seconds_total", container="engine"), 0.125, id="throttled-container"),
        pytest.param(usage("cpu_cfs_throttled_periods_total", container=""), 3, id="throttled-periods"),
        pytest.param(usage("pressure_cpu_waiting_seconds_total"), 0.75, id="some-waited-for-cpu"),
        pytest.param(usage("pressure_cpu_stalled_seconds_total"), 0.25, id="all-waited-for-cpu"),
        pytest.param(
            labelled("resource_manager_allocations_total", resource_name="cpu", source="pod"), 5, id="containers-placed"
        ),
    ],
)
def test_a_sample_says_what_the_snapshot_holds(key: tuple[str, tuple[tuple[str, str], ...]], value: float) -> None:
    assert scraped(picture())[key] == value


def test_the_kinds_of_cpus_add_up_to_the_machine() -> None:
    for of in (picture(), crowd()):
        kinds = [value for (name, _), value in scraped(of).items() if name == "pinfold_cpus"]
        assert sum(kinds) == len(of.topology.online)


def test_a_slice_across_cores_nodes_and_caches_is_told_as_unaligned() -> None:
    of = crowd()
    node_map = of.topology.by_id
    moved = tuple(replace(cpu, node=cpu.id % 2, uncore=cpu.id) for cpu in node_map.values())
    crossed = scraped(replace(of, topology=replace(of.topology, cpus=moved)))
    aligned = scraped(of)
    for boundary in ("numa_node", "uncore_cache"):
        count = labelled("container_aligned_compute_resources_count", scope="container", boundary=boundary)
        failures = labelled("container_aligned_compute_resources_failure_count", scope="container", boundary=boundary)
        assert (aligned[count], aligned[failures]) == (60, 0)
        assert (crossed[count], crossed[failures]) == (0, 60)


def test_half_a_core_is_no_physical_cpu() -> None:
    of = crowd()
    halves = tuple(replace(cpu, core=cpu.core // 2 * 2) for cpu in of.topology.cpus)
    count = labelled("container_aligned_compute_resources_count", scope="container", boundary="physical_cpu")
    assert scraped(of)[count] == 60
    assert scraped(replace(of, topology=replace(of.topology, cpus=halves)))[count] < 60


def test_series_end_with_their_pod() -> None:
    of = picture()
    without = replace(of, pods=tuple(pod for pod in of.pods if pod.name != "postgres"))
    named = [labels for _, labels in scraped(without) if ("pod", "postgres") in labels]
    assert named == []


def test_a_pod_that_ends_beside_its_successor_of_the_same_name_is_one_series() -> None:
    of = picture()
    twice = replace(of, pods=(*of.pods, *(replace(pod, decision=None) for pod in of.pods if pod.name == "postgres")))
    assert scraped(twice)[labelled("pod_pool_cpus", namespace="db", pod="postgres")] == 8
    assert scraped(twice)[labelled("pods", outcome="ending")] == 1


def test_what_the_kernel_does_not_count_has_no_series() -> None:
    names = {name for name, _ in scraped(picture())}
    assert "pinfold_pod_pressure_memory_waiting_seconds_total" in names
    assert not {one for one in names if "memory_stalled" in one or "pressure_io" in one}


@pytest.mark.parametrize("text", ["", "some", "some avg10=0.00 total=x", "full total=1", "\n\n", "some total=-1"])
def test_pressure_in_other_words_is_none(text: str) -> None:
    assert total(text, "some") is None


def test_no_label_holds_a_uid_or_a_cpu_list() -> None:
    of = picture()
    values = {value for _, labels in scraped(of) for _, value in labels}
    for pod in of.pods:
        assert pod.uid not in values
        assert not {str(pod.pool), str(pod.exclusive)} & values - {"", "5", "19"}


def test_before_the_first_reconcile_there_is_the_build_and_the_process() -> None:
    names = {name for name, _ in scraped(None)}
    assert {"pinfold_build_info", "process_resident_memory_bytes"} <= names
    assert not any(name.startswith("pinfold_") for name in names - {"pinfold_build_info"})


def test_a_mode_that_is_planned_is_none_of_the_running_ones() -> None:
    samples = scraped(replace(picture(), mode=Mode.PLANNED))
    assert [samples[labelled("mode", mode=mode)] for mode in ("enforcing", "observing")] == [0, 0]


@pytest.mark.parametrize(
    ("accept", "content_type", "read"),
    [
        pytest.param(OPENMETRICS, "application/openmetrics-text; version=1.0.0", read_openmetrics, id="as-prometheus"),
        pytest.param("*/*", "text/plain; version=0.0.4", read_text, id="as-curl"),
        pytest.param("", "text/plain; version=0.0.4", read_text, id="nothing-said"),
        pytest.param(
            "application/openmetrics-text;version=x",
            "application/openmetrics-text; version=1.0.0",
            read_openmetrics,
            id="a-version-that-is-no-number",
        ),
    ],
)
def test_the_form_is_the_one_that_was_asked_for(accept: str, content_type: str, read: Callable[[str], object]) -> None:
    body, told = exposition(registry(picture), accept)
    assert told.startswith(content_type)
    assert list(read(body.decode()))  # type: ignore[call-overload]


def test_a_node_of_512_cpus_and_60_pods_costs_a_scrape_of_a_few_kilobytes() -> None:
    body, _ = exposition(registry(crowd), OPENMETRICS)
    assert len(gzip.compress(body)) < 10_000


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_no_fault_but_the_kubelets_own_names() -> None:
    body, _ = exposition(registry(picture), "")
    told = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    faults = {line.split(" ", 1)[0] for line in told.stderr.decode().splitlines()}
    assert faults <= {
        "pinfold_container_aligned_compute_resources_count",
        "pinfold_container_aligned_compute_resources_failure_count",
        "pinfold_cpu_manager_exclusive_cpu_allocation_count",
    }, told.stderr.decode()
