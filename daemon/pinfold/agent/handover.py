"""A kubelet that owns the cpusets, watched; and its pods taken over when it leaves them to Pinfold, with none moved."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from pinfold.errors import PinfoldError
from pinfold.planning.handover import observed, taken_over
from pinfold.planning.kubelet_state import KubeletState, UnreadableState, read_kubelet_state
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import Plan
from pinfold.planning.policy import CpuOption, Policy
from pinfold.planning.startup import NotStarted, started
from pinfold.pods.model import Pod
from pinfold.sources.kubelet_config import KubeletConfig
from pinfold.sources.kubelet_state import StateFiles, Unreadable, state_files
from pinfold.topology.model import Topology

log = structlog.get_logger()


class HandoverError(PinfoldError):
    """The kubelet's state that is to be imported is none."""


class Handover:
    def __init__(self, root: Path, imported: Path | None = None) -> None:
        """*root*: the kubelet's; *imported*: a directory with a copy of its state. Raises HandoverError."""
        self._root = root
        self._files: StateFiles | None = None
        """What its pods own, as long as Pinfold has not taken them over."""
        self._found: Ledger | None = None
        """The same, as Pinfold's own."""
        self.warnings: tuple[str, ...] = ()
        """What a person should be told about the kubelet that is observed."""
        if imported:
            self._files = _readable(imported)

    @property
    def pending(self) -> bool:
        """Whether something is to be taken over; for that all pods of the node must be known."""
        return self._files is not None

    def observe(self, pods: Iterable[Pod], policy: Policy, topology: Topology, told: KubeletConfig | None) -> Plan:
        """What the kubelet has decided; *told*: what it is configured to."""
        self.warnings, self._found = (), None
        files = state_files(self._root)
        if isinstance(files, StateFiles):
            self._files = files
            state = read_kubelet_state(files.cpu, files.memory, pods := tuple(pods), policy)
            if isinstance(state, KubeletState):
                self.warnings = tuple(_at_its_next_start(state, topology, told or KubeletConfig()))
                return observed(state, pods, policy, topology)
        return Plan(Ledger(), (), topology.online)

    def found(self, pods: Iterable[Pod], policy: Policy) -> Ledger | None:
        """What *pods* own by the kubelet's state, until it is `taken`; None where there is nothing to take over."""
        self._found, self.warnings = None, ()
        if self._files:
            state = read_kubelet_state(self._files.cpu, self._files.memory, pods := tuple(pods), policy)
            if isinstance(state, KubeletState):
                self._found = taken_over(state, pods, policy)
            else:
                self._files = None
        return self._found

    def taken(self) -> None:
        """What was found, if anything, is on disk as Pinfold's own, and made so."""
        if self._found is not None:
            log.info("ledger.imported", pods=len(self._found.entries), cpus=str(self._found.owned))
            self._files = self._found = None


def _readable(directory: Path) -> StateFiles:
    remedy = "Name a directory that holds a kubelet's cpu_manager_state."
    files = state_files(directory)
    if isinstance(files, Unreadable):
        raise HandoverError(f"importState: {files.error}. {remedy}")
    state = read_kubelet_state(files.cpu, files.memory)
    if isinstance(state, UnreadableState):
        raise HandoverError(f"importState: {directory}: {state.message}. {remedy}")
    return files


def _at_its_next_start(state: KubeletState, topology: Topology, told: KubeletConfig) -> Iterator[str]:
    """A kubelet that will refuse to start on what it left is told in time."""
    if reserved := told.reserved_system_cpus:
        options = frozenset(option for option in CpuOption if option in told.cpu_manager_policy_options)
        found = started(topology, state.shared, state.ledger, reserved, len(reserved), options)
        if isinstance(found, NotStarted):
            yield (
                f"the kubelet will not start again on its cpu_manager_state: {found.message}. "
                "Drain the node, stop the kubelet, delete the file, start it."
            )
