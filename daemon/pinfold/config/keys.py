"""Every key of the configuration, with its default and what it means.

The words are the kubelet's where it has them (KubeletConfiguration v1beta1).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pinfold.config.forms import Address, Bytes, Cpus, Endpoint, OwnAddress, Seconds, Switch, whole_number, written
from pinfold.interrupts.affinities import IrqGuard
from pinfold.planning.policy import CpuOption, Manage, MemoryPolicy, OnUnsatisfied, TopologyPolicy, TopologyScope

API_VERSION: Final = "pinfold.dev/v1alpha1"
KIND: Final = "PinfoldConfiguration"


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


@dataclass(frozen=True, slots=True)
class ReservedMemory:
    numa_node: Annotated[int, whole_number(0, 1023)]
    """The node that the amounts are of."""
    limits: dict[str, Bytes]
    """Resource name (memory, hugepages-2Mi) → amount that no pod may book there."""


@dataclass(frozen=True, slots=True)
class ApiServerSource:
    enabled: Switch = "auto"
    """auto: where a kubeconfig is named or the in-cluster environment is there."""
    kubeconfig: str = ""
    """A kubeconfig for the API server; empty: the service account of the pod."""


@dataclass(frozen=True, slots=True)
class ManifestSource:
    path: str = ""
    """A directory of pod manifests, each with its ``metadata.uid``; empty: none."""


@dataclass(frozen=True, slots=True)
class KubeletSource:
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


@dataclass(frozen=True, slots=True)
class PodsApiSource:
    enabled: Switch = "auto"
    """Watch the kubelet's Pods API (1.37), below sources.kubelet.rootDir: no rights in the cluster are needed for that.
    auto: where its socket is there when Pinfold starts, and the packages of the extra grpc are installed."""


@dataclass(frozen=True, slots=True)
class CriSource:
    endpoint: Endpoint = ""
    """The kubelet's containerRuntimeEndpoint, such as unix:///run/containerd/containerd.sock: the runtime is asked what
    those containers are called whose bundles cannot be read. Empty: it is not. Needs the extra grpc."""


@dataclass(frozen=True, slots=True)
class Sources:
    api_server: ApiServerSource = ApiServerSource()
    manifests: ManifestSource = ManifestSource()
    kubelet: KubeletSource = KubeletSource()
    pods_api: PodsApiSource = PodsApiSource()
    cri: CriSource = CriSource()


@dataclass(frozen=True, slots=True)
class Report:
    listen: OwnAddress = "127.0.0.1:9732"
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

    def __post_init__(self) -> None:
        if bool(self.tls_cert_file) is not bool(self.tls_private_key_file):
            raise ValueError("both tlsCertFile and tlsPrivateKeyFile, or none: they go together")


@dataclass(frozen=True, slots=True)
class Log:
    format: LogFormat = LogFormat.JSON
    """One JSON object a line, or text for a console."""
    level: LogLevel = LogLevel.INFO
    """debug: a step; info: the node changed; warning: mended by itself; error: a person is needed."""


@dataclass(frozen=True, slots=True)
class Config:
    """``PinfoldConfiguration``."""

    api_version: Literal["pinfold.dev/v1alpha1"] = API_VERSION
    """The form of this file."""
    kind: Literal["PinfoldConfiguration"] = KIND
    """What this file is."""
    node_name: str = ""
    """The node's name in the API; the environment's NODE_NAME counts too."""
    reserved_system_cpus: Cpus | None = None
    """Never owned by a pod; default: the core of the lowest CPU."""
    cpu_manager_policy_options: dict[CpuOption, bool] = field(default_factory=dict)
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
    topology_manager_policy_options: dict[Literal["prefer-closest-numa-nodes"], bool] = field(default_factory=dict)
    """The kubelet's options of the topology manager."""
    manage: Manage = Manage.REQUESTED
    """Which pods: those with pod-level resources or a pinfold.dev/ annotation, or every Guaranteed pod too."""
    on_unsatisfied: OnUnsatisfied = OnUnsatisfied.SHARE
    """What becomes of a pod that cannot have what it asks for: it shares, or it is evicted."""
    min_shared_cpus: Annotated[int, whole_number(1, 8192)] = 1
    """CPUs that the node shared pool keeps, the reserved ones included."""
    allow_unscheduled_pools: bool = False
    """Whether annotations may ask for more CPUs than the scheduler counted for the pod."""
    annotation_namespaces: frozenset[str] | None = None
    """The namespaces whose pinfold.dev/ annotations are heard; absent: all."""
    memory_min_namespaces: frozenset[str] = frozenset()
    """The namespaces whose pods may ask for memory-protection: min; elsewhere that means low."""
    memory_migration_max_size: Bytes = 0
    """The most bytes that a running pod's memory may move to other NUMA nodes; 0: it stays where it is."""
    cgroup_root: str = "/"
    """The kubelet's cgroupRoot."""
    cgroup_driver: CgroupDriver = CgroupDriver.AUTO
    """The kubelet's cgroupDriver; auto: as the cgroups are called."""
    exclusivity: Exclusivity = Exclusivity.AUTO
    """How exclusive CPUs are kept; auto: by partition where the kernel has remote ones, else by shrinking."""
    irq_guard: IrqGuard = IrqGuard.OFF
    """Which CPUs interrupts and the kernel's unbound workers are kept off."""
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
        dumped: dict[str, Any] = written(self)
        return dumped
