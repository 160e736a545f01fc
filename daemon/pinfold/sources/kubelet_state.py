"""Which policies this node's kubelet runs, from the state files of its CPU and memory managers, or by its own word.

Two owners never fight over one cpuset: the answer says whether there is another one, and whence that is known.
Source: ``pkg/kubelet/cm/{cpu,memory}manager/state/checkpoint.go``, 1.26 to 1.37.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CPU_FILE: Final = "cpu_manager_state"
MEMORY_FILE: Final = "memory_manager_state"
CONFIGZ: Final = "configz"
MAX_STATE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class PolicyFound:
    policy: str
    """``none`` or ``static``; ``None``, ``Static`` or ``BestEffort`` of the memory manager."""
    where: str
    """Where it stands."""


@dataclass(frozen=True, slots=True)
class NoKubelet:
    """Its root directory is not there: nobody else owns cpusets here, or the directory is not mounted."""


@dataclass(frozen=True, slots=True)
class NoState:
    """The directory is there and the file is not: the kubelet has not started yet."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    error: str


Found = PolicyFound | NoKubelet | NoState | Unreadable


@dataclass(frozen=True, slots=True)
class StateFiles:
    """The texts of the state files."""

    cpu: str
    memory: str | None
    """None where its manager has written none."""


@dataclass(frozen=True, slots=True)
class Peace:
    """Whether Pinfold may write, and why (not)."""

    cpusets: bool
    """``cpuset.cpus`` and partitions."""
    mems: bool
    """``cpuset.mems``; never where ``cpusets`` is not."""
    reason: str
    certain: bool = True
    """False: the kubelet's word cannot be read now. What held before goes on, nothing is taken back for that."""


def cpu_manager(root: Path, configured: str = "") -> Found:
    """The CPU manager's policy of the kubelet with the root directory *root*.

    *configured*: what it says of itself; that holds where its file says nothing, and where it owns cpusets by either.
    """
    return _heard(_policy(root, CPU_FILE), configured, "none")


def memory_manager(root: Path, configured: str = "") -> Found:
    return _heard(_policy(root, MEMORY_FILE), configured, "None")


def _heard(found: Found, configured: str, harmless: str) -> Found:
    if configured and (not isinstance(found, PolicyFound) or found.policy == harmless):
        return found if found == PolicyFound(configured, CPU_FILE) else PolicyFound(configured, CONFIGZ)
    return found


def state_files(root: Path) -> StateFiles | Unreadable:
    """What stands in *root*; Unreadable too where there is no state of a CPU manager."""
    cpu, memory = _content(root / CPU_FILE), _content(root / MEMORY_FILE)
    if not isinstance(cpu, bytes):
        return cpu or Unreadable(f"{root / CPU_FILE} is not there")
    if isinstance(memory, Unreadable):
        return memory
    return StateFiles(cpu.decode(errors="replace"), None if memory is None else memory.decode(errors="replace"))


def peace(cpu: Found, memory: Found) -> Peace:
    """What the kubelet leaves to Pinfold; where its word cannot be read, nothing."""
    match cpu:
        case PolicyFound("none", where):
            reason = f'the kubelet\'s CPU manager policy is "none" ({where})'
        case PolicyFound(policy, where):
            return Peace(False, False, f'the kubelet\'s CPU manager policy is "{policy}" ({where})')
        case Unreadable(error):
            return Peace(False, False, f"the kubelet's CPU manager policy cannot be read: {error}", certain=False)
        case NoKubelet():
            return Peace(True, True, "there is no kubelet's root directory")
        case NoState():
            reason = f"the kubelet has written no {CPU_FILE}"
    match memory:
        case PolicyFound("None") | NoState() | NoKubelet():
            return Peace(True, True, reason)
        case PolicyFound(policy):
            return Peace(True, False, f'{reason}; cpuset.mems is the kubelet\'s: memory manager policy "{policy}"')
        case Unreadable(error):
            return Peace(True, False, f"{reason}; its memory manager's policy cannot be read: {error}")


def _policy(root: Path, name: str) -> Found:
    if not root.is_dir():
        return NoKubelet()
    content = _content(root / name)
    if not isinstance(content, bytes):
        return content or NoState()
    try:
        state = json.loads(content)
        if "policyName" not in state:
            state = json.loads(state["data"])  # 1.37 may keep the whole as text beside its checksum
        policy = state["policyName"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Unreadable(f"{root / name}: no state of a manager")
    if not isinstance(policy, str) or not policy.isidentifier() or len(policy) > 63:
        return Unreadable(f"{root / name}: {ascii(policy)[:80]} is no policy")
    return PolicyFound(policy, name)


def _content(path: Path) -> bytes | Unreadable | None:
    """None where there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_STATE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror}")
