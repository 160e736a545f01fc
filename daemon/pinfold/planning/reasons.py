"""Why a pod is where it is, as data. Words are made of it elsewhere (``words.py``).

Pure. A refusal is a value; its word is the kubelet's where the kubelet has one.
"""

from dataclasses import dataclass
from enum import StrEnum

from pinfold.cpuset import CpuSet, NodeSet
from pinfold.pods.model import PodUid


class Word(StrEnum):
    """The reason word of a refusal. Source: kubelet ``status.reason``; the rest is Pinfold's own."""

    TOPOLOGY_AFFINITY = "TopologyAffinityError"
    SMT_ALIGNMENT = "SMTAlignmentError"
    EMPTY_POD_SHARED_POOL = "EmptyPodSharedPoolError"
    UNEXPECTED_ADMISSION = "UnexpectedAdmissionError"
    NODE_SHARED_POOL_EXHAUSTED = "NodeSharedPoolExhausted"
    INVALID_ANNOTATION = "InvalidAnnotation"
    POOL_NOT_SCHEDULED = "PoolNotScheduled"
    KUBELET_OWNS_CPUSETS = "KubeletOwnsCpusets"


@dataclass(frozen=True, slots=True)
class Refused:
    word: Word
    message: str
    """What was wanted, what there was, in one sentence with the figures."""
    can_pass: bool
    """Whether it may succeed later with no change to the pod: then it is tried again when CPUs come free."""
    remedy: str = ""
    """What would have to be true to succeed."""


class Regime(StrEnum):
    """Which rule places the pod (KEP-5526): see ``planning/regime.py``."""

    NODE_SHARED = "A"
    CONTAINER = "B"
    POD_LEVEL_BY_CONTAINER = "C"
    POD_POOL = "D"


class Outcome(StrEnum):
    UNMANAGED = "unmanaged"
    """Nobody asked, or the rules give it nothing of its own: Pinfold does not touch it."""
    PINNED = "pinned"
    DEGRADED = "degraded"
    """Placed, but with less than it asked for: ``refusal`` says what is missing."""
    SHARED = "shared"
    """Refused: it runs in the node shared pool."""


@dataclass(frozen=True, slots=True)
class HintWeighed:
    """One merged NUMA hint that was looked at."""

    nodes: NodeSet
    preferred: bool
    chosen: bool
    why: str
    """Why it was chosen or lost, in a few words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one pod, and why."""

    uid: PodUid
    namespace: str
    name: str
    outcome: Outcome
    regime: Regime
    because: str
    """The rule that led here, one sentence."""
    wanted_cpus: int = 0
    pool: CpuSet = CpuSet()
    mems: NodeSet = NodeSet()
    hints: tuple[HintWeighed, ...] = ()
    refusal: Refused | None = None
    notes: tuple[str, ...] = ()
    """The traps this pod's spec fell into, for its author: one sentence each."""

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"
