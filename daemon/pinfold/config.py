"""One configuration, read from a file, the environment and flags, and checked before anything acts on it.

File < environment < flags. The words are the kubelet's where it has them (KubeletConfiguration v1beta1).
Every error names the line, what was wrong and what to write instead.
"""

import json
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from pinfold.cpuset import CpuSet
from pinfold.errors import PinfoldError
from pinfold.interrupts.affinities import IrqGuard
from pinfold.planning.options import illegal
from pinfold.planning.policy import (
    CpuOption,
    Manage,
    MemoryPolicy,
    OnUnsatisfied,
    Policy,
    TopologyPolicy,
    TopologyScope,
)
from pinfold.pods.quantity import QuantityError, whole
from pinfold.topology.model import Topology

API_VERSION: Final = "pinfold.dev/v1alpha1"
KIND: Final = "PinfoldConfiguration"
DEFAULT_PATH = Path("/etc/pinfold/config.yaml")
MAX_FILE_BYTES = 1 << 20


class ConfigError(PinfoldError):
    """The configuration cannot be used; one line for each fault, with the place and the remedy."""

    exit_code = os.EX_CONFIG


class CgroupDriver(StrEnum):
    AUTO = "auto"
    SYSTEMD = "systemd"
    CGROUPFS = "cgroupfs"


class Exclusivity(StrEnum):
    AUTO = "auto"
    """Partitions where the kernel has remote ones, else shrink."""
    PARTITION = "partition"
    SHRINK = "shrink"


class MetricsAuthentication(StrEnum):
    """Who may read the metrics over the network."""

    WEBHOOK = "Webhook"
    """Over TLS, whoever the API server lets ``get`` the path ``/metrics`` (TokenReview, SubjectAccessReview)."""
    ANONYMOUS = "Anonymous"
    """Everybody who reaches the address, in plain HTTP unless a certificate is named."""


class LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[0-9a-fA-F:.]+|[A-Za-z0-9._-]+):(\d{1,5})")
"""An IPv6 address needs no brackets: $(HOST_IP):9733 has none."""


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        raise ValueError("write a duration such as 10s, 1m or 1m30s")
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


def _cpu_list(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return CpuSet.parse(str(value))  # YAML reads reservedSystemCPUs: 0 as a number
    return CpuSet.parse(value) if isinstance(value, str) else value


def _word(value: object) -> object:
    return "off" if value is False else value  # YAML reads irqGuard: off as a boolean


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if value and (match is None or int(match[1]) > 65535):
        raise ValueError("write HOST:PORT, such as 127.0.0.1:9732, or nothing for no listener")
    return value


def _loopback(value: str) -> str:
    host = value.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        own = not value or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        own = False
    if not own:
        raise ValueError("write an address of this node alone, such as 127.0.0.1:9732; metricsListen is for others")
    return value


def _amounts(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    try:
        return {name: whole(text) for name, text in value.items()}
    except QuantityError as error:
        raise ValueError(str(error)) from error


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return whole(value)
    except QuantityError as error:
        raise ValueError(str(error)) from error


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0.1, le=86400), PlainSerializer(lambda s: f"{s:g}s")]
Cpus = Annotated[CpuSet, BeforeValidator(_cpu_list), PlainSerializer(str)]
Address = Annotated[str, AfterValidator(_address)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        arbitrary_types_allowed=True,
        defer_build=True,
    )


class ReservedMemory(_Strict):
    numa_node: int = Field(ge=0)
    """The node that the amounts are of."""
    limits: Annotated[dict[str, int], BeforeValidator(_amounts)]
    """Resource name (memory, hugepages-2Mi) → amount that no pod may book there."""


class ApiServerSource(_Strict):
    enabled: bool | Literal["auto"] = "auto"
    """auto: where a kubeconfig is named or the in-cluster environment is there."""
    kubeconfig: str = ""
    """A kubeconfig for the API server; empty: the service account of the pod."""


class ManifestSource(_Strict):
    path: str = ""
    """A directory of pod manifests, each with its ``metadata.uid``; empty: none."""


class KubeletSource(_Strict):
    enabled: bool = False
    """Ask the kubelet, too, for its pods and its configuration: it answers while the API server is away."""
    address: str = "127.0.0.1:10250"
    """The kubelet's own address."""
    ca_file: str = ""
    """PEM: who signed the kubelet's certificate. Empty: the certificate that it made itself, where there is one; else
    the authority of the cluster."""
    root_dir: str = "/var/lib/kubelet"
    """Where the kubelet keeps cpu_manager_state: Pinfold enforces only beside CPU manager policy none."""
    import_state: str = ""
    """A directory with a copy of the state files of a kubelet that was static: what its pods own they keep. Read once,
    where Pinfold has no checkpoint of its own of this boot."""


class Sources(_Strict):
    api_server: ApiServerSource = ApiServerSource()
    manifests: ManifestSource = ManifestSource()
    kubelet: KubeletSource = KubeletSource()


class Report(_Strict):
    listen: Annotated[Address, AfterValidator(_loopback)] = "127.0.0.1:9732"
    """This node's alone: it asks nobody who he is."""
    metrics_listen: Address = ""
    """A second address, for /metrics and health alone."""
    metrics_authentication: MetricsAuthentication = MetricsAuthentication.WEBHOOK
    """Who may read metricsListen: whom the API server lets get /metrics, over TLS; or everybody."""
    tls_cert_file: str = ""
    """PEM, for metricsListen, and read again when it changes; empty: one signed by itself is kept in stateDir."""
    tls_private_key_file: str = ""
    """PEM, the key of tlsCertFile."""
    socket: str = ""
    """A unix socket for the command line tool; empty: none."""
    events: bool = True
    """Whether Events are told on pods; needs the API server."""
    node_resource_topology: bool = False
    """Whether a NodeResourceTopology is published, for a NUMA-aware scheduler; never over another manager's."""

    @model_validator(mode="after")
    def _both_files(self) -> Self:
        if bool(self.tls_cert_file) is not bool(self.tls_private_key_file):
            raise ValueError("tlsCertFile and tlsPrivateKeyFile go together: name both or none")
        return self


class Log(_Strict):
    format: LogFormat = LogFormat.JSON
    """One JSON object a line, or text for a console."""
    level: LogLevel = LogLevel.INFO
    """debug: a step; info: the node changed; warning: mended by itself; error: a person is needed."""


class Config(_Strict):
    """``PinfoldConfiguration``."""

    api_version: Literal["pinfold.dev/v1alpha1"] = API_VERSION
    """The form of this file."""
    kind: Literal["PinfoldConfiguration"] = KIND
    """What this file is."""
    node_name: str = ""
    """The node's name in the API; the environment's NODE_NAME counts too."""
    reserved_system_cpus: Annotated[Cpus | None, Field(alias="reservedSystemCPUs")] = None
    """Never owned by a pod; default: the core of the lowest CPU."""
    cpu_manager_policy_options: dict[CpuOption, bool] = Field(default_factory=dict)
    """The kubelet's options of the CPU manager's static policy, and slice-full-cores."""
    cpu_manager_reconcile_period: Seconds = 10.0
    """How often everything is looked at though nothing rang."""
    memory_manager_policy: MemoryPolicy = MemoryPolicy.STATIC
    """Static: memory is booked on NUMA nodes and bound to them; None: it is left alone."""
    reserved_memory: tuple[ReservedMemory, ...] = ()
    """Memory that no pod may book, by NUMA node."""
    topology_manager_policy: TopologyPolicy = TopologyPolicy.BEST_EFFORT
    """How much NUMA alignment is insisted on."""
    topology_manager_scope: TopologyScope = TopologyScope.POD
    """What is aligned as a unit."""
    topology_manager_policy_options: dict[Literal["prefer-closest-numa-nodes"], bool] = Field(default_factory=dict)
    """The kubelet's options of the topology manager."""
    manage: Manage = Manage.REQUESTED
    """Which pods: those with pod-level resources or a pinfold.dev/ annotation, or every Guaranteed pod too."""
    on_unsatisfied: OnUnsatisfied = OnUnsatisfied.SHARE
    """What becomes of a pod that cannot have what it asks for: it shares, or it is evicted."""
    min_shared_cpus: Annotated[int, Field(ge=1, le=8192, alias="minSharedCPUs")] = 1
    """CPUs that the node shared pool keeps, the reserved ones included."""
    allow_unscheduled_pools: bool = False
    """Whether annotations may ask for more CPUs than the scheduler counted for the pod."""
    annotation_namespaces: frozenset[str] | None = None
    """The namespaces whose pinfold.dev/ annotations are heard; absent: all."""
    memory_min_namespaces: frozenset[str] = frozenset()
    """The namespaces whose pods may ask for memory-protection: min; elsewhere that means low."""
    memory_migration_max_size: Annotated[int, BeforeValidator(_bytes), Field(ge=0)] = 0
    """The most bytes that a running pod's memory may move to other NUMA nodes; 0: it stays where it is."""
    cgroup_root: str = "/"
    """The kubelet's cgroupRoot."""
    cgroup_driver: CgroupDriver = CgroupDriver.AUTO
    """The kubelet's cgroupDriver; auto: as the cgroups are called."""
    exclusivity: Exclusivity = Exclusivity.AUTO
    """How exclusive CPUs are kept; auto: by partition where the kernel has remote ones, else by shrinking."""
    irq_guard: Annotated[IrqGuard, BeforeValidator(_word)] = IrqGuard.OFF
    """Which CPUs interrupts are kept off."""
    cgroup_mount: str = "/sys/fs/cgroup"
    """Where cgroup2 is mounted."""
    sysfs_root: str = "/"
    """The directory that holds sys/devices/system."""
    state_dir: str = "/var/lib/pinfold"
    """Where the checkpoint is kept."""
    sources: Sources = Sources()
    report: Report = Report()
    log: Log = Log()

    def dumped(self) -> dict[str, Any]:
        """As /configz shows it: JSON values under the file's own keys."""
        dumped: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        return dumped


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """Read *path* (None: the default path, where it is there), then the environment, then *flags*.

    *flags* maps dotted keys to text: ``report.listen`` → ``127.0.0.1:0``. An environment variable is the key in
    capitals: ``PINFOLD_REPORT_LISTEN``; NODE_NAME serves as ``nodeName``. Raises ConfigError.
    """
    data: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    origin = "the environment or the flags"
    if path is not None or DEFAULT_PATH.is_file():
        origin = str(path or DEFAULT_PATH)
        data, lines = _parsed(path or DEFAULT_PATH)
    if name := environment.get("NODE_NAME"):
        _put(data, ("nodeName",), name)
    keys = {
        "PINFOLD_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", "_".join(key)).upper(): key for key in _scalar_keys(Config)
    }
    for variable, text in sorted(environment.items()):
        if variable in keys:
            _put(data, keys[variable], _scalar(text))
    for dotted, text in (flags or {}).items():
        _put(data, tuple(dotted.split(".")), _scalar(text))
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_told(fault, lines, origin) for fault in error.errors())) from None


def _parsed(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_FILE_BYTES)
        loader = yaml.CSafeLoader(text)
        node = loader.get_single_node()
        lines: dict[tuple[str, ...], int] = {}
        _note_lines(node, (), lines)
        data = loader.construct_document(node) if node else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Name a readable file with --config.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: the top level is no mapping. Begin with apiVersion: {API_VERSION}, kind: {KIND}.")
    return data, lines


def _note_lines(node: yaml.Node | None, at: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    """Note the line (from 1) of every key below *node*; twice the same key is an error, which YAML would hide."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            if place in lines:
                raise ConfigError(
                    f"line {key.start_mark.line + 1}: {'.'.join(place)} stands here a second time "
                    f"(first in line {lines[place]}). Keep one."
                )
            lines[place] = key.start_mark.line + 1
            _note_lines(value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, str(index))] = value.start_mark.line + 1
            _note_lines(value, (*at, str(index)), lines)


def _told(fault: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], origin: str) -> str:
    place = tuple(str(part) for part in fault["loc"])
    known = next((place[:end] for end in range(len(place), 0, -1) if place[:end] in lines), ())
    line = f"{origin}, line {lines[known]}" if known else origin
    name = ".".join(known or place)
    if fault["type"] == "extra_forbidden":
        return (
            f"{line}: unknown key {'.'.join(place)}. Remove it, or look up its spelling: pinfold config check --help."
        )
    return f"{line}: {name}: {json.dumps(fault['input'], default=str)}: {fault['msg'].removeprefix('Value error, ')}."


def _scalar(text: str) -> object:
    """A flag's or variable's text as YAML reads it, so that true, 3 and [a, b] mean what they mean in the file."""
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader) if text else text
    except yaml.YAMLError:
        return text


def _put(data: dict[str, Any], key: tuple[str, ...], value: object) -> None:
    for part in key[:-1]:
        inner = data.get(part)
        data = data.setdefault(part, {}) if isinstance(inner, dict | None) else {}
    data[key[-1]] = value


def _scalar_keys(model: type[BaseModel], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The dotted keys that one variable or flag can set."""
    keys: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        key = (*at, field.alias or to_camel(name))
        inner = field.annotation
        keys += _scalar_keys(inner, key) if isinstance(inner, type) and issubclass(inner, BaseModel) else [key]
    return keys


def reserved_cpus(config: Config, topology: Topology) -> CpuSet:
    """Those of the configuration that are online; else the core of the lowest CPU."""
    asked = config.reserved_system_cpus or CpuSet()
    return (asked & topology.online) or topology.cores[topology.by_id[topology.online.lowest()].core]


def policy(config: Config, topology: Topology) -> tuple[Policy, tuple[str, ...]]:
    """The node's policy on this machine, and what a person should be told about it.

    A reserved CPU that is offline now is a warning (the machine changed); one that the machine never had is an error.
    Raises ConfigError.
    """
    there = topology.online | topology.offline | topology.possible
    options = frozenset(option for option, on in config.cpu_manager_policy_options.items() if on)
    faults: list[str] = []
    warnings: list[str] = []
    reserved = reserved_cpus(config, topology)
    if (asked := config.reserved_system_cpus) is not None:
        if missing := asked - there:
            faults.append(
                f"reservedSystemCPUs: this machine has no CPU {missing}; it has {there}. Name CPUs that are there."
            )
        elif away := asked - topology.online:
            warnings.append(f"reserved CPUs {away} are offline")
        if not faults and asked.isdisjoint(topology.online):
            warnings.append(f"no reserved CPU of {asked} is online: {reserved} is reserved instead")
        if not topology.online - reserved:
            faults.append(f"reservedSystemCPUs: {asked} leaves no CPU for pods. Reserve fewer of {topology.online}.")
    if conflict := illegal(options, config.topology_manager_policy, topology):
        faults.append(f"cpuManagerPolicyOptions: {conflict}")
    for entry in config.reserved_memory:
        if entry.numa_node not in topology.node:
            nodes = ", ".join(map(str, topology.node))
            faults.append(f"reservedMemory: this machine has no NUMA node {entry.numa_node}; it has {nodes}.")
    if faults:
        raise ConfigError("\n".join(faults))
    return (
        Policy(
            reserved=reserved,
            topology_policy=config.topology_manager_policy,
            scope=config.topology_manager_scope,
            cpu_options=options,
            prefer_closest_numa_nodes=config.topology_manager_policy_options.get("prefer-closest-numa-nodes", False),
            memory_policy=config.memory_manager_policy,
            reserved_memory={entry.numa_node: entry.limits for entry in config.reserved_memory},
            manage=config.manage,
            on_unsatisfied=config.on_unsatisfied,
            min_shared_cpus=config.min_shared_cpus,
            allow_unscheduled_pools=config.allow_unscheduled_pools,
            annotation_namespaces=config.annotation_namespaces,
            memory_min_namespaces=config.memory_min_namespaces,
        ),
        tuple(warnings),
    )
