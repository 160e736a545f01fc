"""The configuration: what is written is what holds, and every fault is told with its line and a remedy."""

from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinfold.config import Config, ConfigError, config_of, load, policy
from pinfold.config.forms import Place
from pinfold.config.reading import scalar_keys
from pinfold.cpuset import CpuSet
from pinfold.planning.policy import CpuOption, TopologyPolicy
from pinfold.topology.model import Cpu, NumaNode, Topology

HEAD = "apiVersion: pinfold.dev/v1alpha1\nkind: PinfoldConfiguration\n"


def machine(offline: str = "", absent: str = "") -> Topology:
    """Eight CPUs on two nodes, two threads a core: siblings c, c+4."""
    there = CpuSet.parse("0-7") - CpuSet.parse(offline) - CpuSet.parse(absent)
    cpus = tuple(Cpu(id=cpu, core=cpu % 4, socket=cpu % 4 // 2, node=cpu % 4 // 2, uncore=0) for cpu in there)
    nodes = tuple(NumaNode(node, CpuSet.of(cpu.id for cpu in cpus if cpu.node == node), 1 << 30) for node in (0, 1))
    return Topology(cpus, nodes, offline=CpuSet.parse(offline), possible=CpuSet.parse("0-7") - CpuSet.parse(absent))


def written(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + body)
    return path


def test_the_defaults_are_a_whole_configuration(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), {}) == Config()


def test_a_file_says_it_in_the_kubelets_words(tmp_path: Path) -> None:
    config = load(
        written(
            tmp_path,
            "reservedSystemCPUs: 0-1,4\n"
            'cpuManagerPolicyOptions: {full-pcpus-only: "true", strict-cpu-reservation: "false"}\n'
            "topologyManagerPolicy: single-numa-node\n"
            "cpuManagerReconcilePeriod: 1m30s\n"
            "minSharedCPUs: 2\n"
            "reservedMemory: [{numaNode: 0, limits: {memory: 1Gi}}]\n",
        ),
        {},
    )
    decided, warnings = policy(config, machine())
    assert config.cpu_manager_reconcile_period == 90
    assert decided.reserved == CpuSet.parse("0-1,4")
    assert decided.cpu_options == {CpuOption.FULL_PCPUS_ONLY}
    assert decided.topology_policy is TopologyPolicy.SINGLE_NUMA_NODE
    assert decided.min_shared_cpus == 2
    assert decided.reserved_memory == {0: {"memory": 1 << 30}}
    assert not warnings


def test_what_configz_shows_is_a_configuration_again(tmp_path: Path) -> None:
    config = load(written(tmp_path, "reservedSystemCPUs: '0,4'\nreport: {listen: '127.0.0.1:1'}\n"), {})
    assert config_of(config.dumped()) == config


def test_the_environment_beats_the_file_and_flags_beat_both(tmp_path: Path) -> None:
    path = written(tmp_path, "minSharedCPUs: 2\nnodeName: from-file\nreport: {listen: '127.0.0.1:1', events: false}\n")
    environment = {"PINFOLD_REPORT_LISTEN": "127.0.0.1:2", "PINFOLD_MIN_SHARED_CPUS": "3", "NODE_NAME": "from-env"}
    config = load(path, environment, {"minSharedCPUs": "4"})
    assert (config.report.listen, config.min_shared_cpus, config.node_name) == ("127.0.0.1:2", 4, "from-env")
    assert config.report.events is False


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        pytest.param(
            "\nreservedSystemCpus: '0'\n",
            4,
            ["unknown key reservedSystemCpus: did you mean reservedSystemCPUs?"],
            id="unknown-key",
        ),
        pytest.param("report:\n  listne: x\n", 4, ["report.listne: did you mean listen?"], id="unknown-inner-key"),
        pytest.param("log: {zzz: 1}\n", 3, ["log.zzz: write one of format, level."], id="like-no-key"),
        pytest.param("reservedSystemCPUs: 1-x\n", 3, ["no CPU list", "1-x"], id="no-cpu-list"),
        pytest.param("cpuManagerReconcilePeriod: often\n", 3, ["10s"], id="no-duration"),
        pytest.param("topologyManagerPolicy: numa\n", 3, ["best-effort, restricted or"], id="no-such-policy"),
        pytest.param("cpuManagerPolicyOptions: {full-cpus: 'true'}\n", 3, ["full-pcpus-only"], id="no-such-option"),
        pytest.param("minSharedCPUs: 0\n", 3, ["a whole number from 1"], id="too-small"),
        pytest.param("minSharedCPUs: 1\nminSharedCPUs: 2\n", 4, ["second time", "line 3"], id="key-twice"),
        pytest.param("report: {metricsListen: '127.0.0.1'}\n", 3, ["HOST:PORT"], id="no-port"),
        pytest.param("report: {listen: '0.0.0.0:9732'}\n", 3, ["metricsListen is for others"], id="open-to-all"),
        pytest.param("report: {listen: 'node:9732'}\n", 3, ["metricsListen is for others"], id="a-name-may-be-any"),
        pytest.param("report: {tlsCertFile: a}\n", 3, ["they go together"], id="a-certificate-without-its-key"),
        pytest.param("report: {metricsAuthentication: none}\n", 3, ["Webhook or Anonymous"], id="no-such-word"),
        pytest.param("reservedMemory:\n- numaNode: 0\n  limits: {memory: 2x}\n", 5, ["2x"], id="no-quantity"),
        pytest.param("sources: {apiServer: 7}\n", 3, ["sources.apiServer: 7: write keys below"], id="no-mapping"),
        pytest.param("report:\n", 3, ["report: null: write keys below it, such as listen"], id="nothing-below-a-key"),
        pytest.param("nodeName: 7\n", 3, ["nodeName: 7: write text (in quotes"], id="a-number-where-text-is-meant"),
        pytest.param("reservedSystemCPUs: true\n", 3, ["a CPU list such as"], id="a-boolean-is-no-cpu-list"),
        pytest.param("cpuManagerReconcilePeriod: 2d\n", 3, ["1m30s"], id="no-unit-of-a-duration"),
        pytest.param("cpuManagerReconcilePeriod: 25h\n", 3, ["to 24h"], id="a-long-duration"),
        pytest.param("cpuManagerReconcilePeriod: .inf\n", 3, ["to 24h"], id="an-endless-duration"),
        pytest.param("cpuManagerReconcilePeriod: .nan\n", 3, ["to 24h"], id="no-number"),
        pytest.param("allowUnscheduledPools: 1\n", 3, ["true or false"], id="a-number-where-a-switch-is-meant"),
        pytest.param("annotationNamespaces: trading\n", 3, ["a list: [a, b]"], id="a-word-where-a-list-is-meant"),
        pytest.param("cpuManagerPolicyOptions: [x]\n", 3, ["{key: value}"], id="a-list-where-a-mapping-is-meant"),
        pytest.param("memoryMigrationMaxSize: -1\n", 3, ["negative"], id="less-than-nothing"),
        pytest.param("sources: {apiServer: {enabled: perhaps}}\n", 3, ["auto, true or false"], id="perhaps"),
        pytest.param("reservedMemory:\n- limits: {memory: 1Gi}\n", 4, ["numaNode there too"], id="of-no-node"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, body: str, line: int, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, body), {})
    assert f"line {line}" in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []


def test_all_faults_are_told_at_once_each_in_a_line_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, "manage: all\nreport:\n  listen: 9732\n  tls: x\n"), {}, {"minSharedCPUs": "-1"})
    told = str(caught.value).replace(str(tmp_path), "").splitlines()
    assert [line[:40] for line in sorted(told)] == [
        '/config.yaml, line 3: manage: "all": wri',
        "/config.yaml, line 5: report.listen: 973",
        "/config.yaml, line 6: unknown key report",
        "/config.yaml: minSharedCPUs: -1: write a",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(scalar_keys(Config)), JSON)
def test_whatever_stands_at_a_key_is_of_its_kind_or_a_fault_that_names_it(key: Place, value: object) -> None:
    try:
        config = config_of({key[0]: reduce(lambda inner, part: {part: inner}, reversed(key[1:]), value)})
    except ConfigError as error:
        assert ".".join(key[:1]) in str(error)  # noqa: PT017
    else:
        assert config_of(config.dumped()) == config


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"[1]", "no mapping", id="a-list"),
        pytest.param(b"a: [", "no YAML", id="broken"),
        pytest.param(b"\xff\xfe", "cannot be read", id="no-text"),
        pytest.param(b"kind: KubeletConfiguration", "PinfoldConfiguration", id="another-kind"),
        pytest.param(b"nodeName: 2026-13-45", "no YAML: month", id="a-date-that-is-none"),
        pytest.param(b"minSharedCPUs: " + b"9" * 5000, "no YAML: ", id="a-number-without-end"),
        pytest.param(b"nodeName: " + b"[" * 20000, "no YAML: ", id="a-nesting-without-end"),
        pytest.param(b"report: &a {tlsCertFile: *a}", "tlsCertFile: an alias", id="an-alias-within-itself"),
        pytest.param(b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", r"b\.0: an alias", id="aliases-that-blow-up"),
        pytest.param(b"nodeName: {2026-01-01: x}", "nodeName: .*datetime.*write text", id="a-key-that-is-no-text"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load(path, {})


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load(tmp_path / "none.yaml", {})


def test_without_a_reserved_set_the_core_of_the_lowest_cpu_is_reserved() -> None:
    assert policy(Config(), machine())[0].reserved == CpuSet.parse("0,4")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("reservedSystemCPUs: 0,9\n", "no CPU 9; it has 0-7", id="a-cpu-that-is-not-there"),
        pytest.param("reservedSystemCPUs: 0-7\n", "leaves no CPU for pods", id="nothing-left"),
        pytest.param("reservedMemory: [{numaNode: 5, limits: {memory: 1Gi}}]\n", "no NUMA node 5", id="no-such-node"),
        pytest.param(
            "cpuManagerPolicyOptions: {full-pcpus-only: 'true', distribute-cpus-across-cores: 'true'}\n",
            "full-pcpus-only",
            id="options-that-exclude-each-other",
        ),
    ],
)
def test_a_policy_that_does_not_fit_the_machine_is_refused(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        policy(load(written(tmp_path, body), {}), machine())


def test_a_reserved_cpu_that_went_offline_is_told_and_the_rest_stays_reserved(tmp_path: Path) -> None:
    decided, warnings = policy(load(written(tmp_path, "reservedSystemCPUs: 0,4\n"), {}), machine(offline="4"))
    assert decided.reserved == CpuSet.parse("0")
    assert warnings == ("reserved CPUs 4 are offline",)


def test_a_reserved_set_that_went_offline_whole_is_replaced(tmp_path: Path) -> None:
    decided, warnings = policy(load(written(tmp_path, "reservedSystemCPUs: 1,5\n"), {}), machine(offline="1,5"))
    assert decided.reserved == CpuSet.parse("0,4")
    assert len(warnings) == 2


@pytest.mark.parametrize("address", ["127.0.0.1:9732", "[::1]:9732", "fd00::1:9733", "node.example:1", ""])
def test_an_address_is_taken_in_every_form_that_a_node_has(tmp_path: Path, address: str) -> None:
    assert load(written(tmp_path, f"report: {{metricsListen: '{address}'}}\n"), {}).report.metrics_listen == address
