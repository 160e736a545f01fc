"""What the kubelet says that it is configured to: the few words of ``/configz`` that matter here.

Pure. Source: KubeletConfiguration v1beta1; the handler wraps it in ``kubeletconfig``.
"""

import json
import re
from dataclasses import dataclass

from pinfold.cpuset import CpuListError, CpuSet
from pinfold.pods.fields import Field, FieldError

_WORD = re.compile(r"[-A-Za-z0-9_./]{0,255}")


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """A word that the kubelet does not tell is empty."""

    cgroup_driver: str = ""
    cgroup_root: str = ""
    cpu_manager_policy: str = ""
    memory_manager_policy: str = ""
    topology_manager_policy: str = ""
    topology_manager_scope: str = ""
    cpu_manager_policy_options: frozenset[str] = frozenset()
    """Those that are on."""
    reserved_system_cpus: CpuSet = CpuSet()
    """Empty where the kubelet reserves an amount and no list."""


def kubelet_config(body: bytes) -> KubeletConfig | str:
    """Of the answer of ``/configz``; else what is wrong with it."""
    try:
        told = Field(json.loads(body), "configz")["kubeletconfig"]
        words = {
            name: told[key].text()
            for name, key in {
                "cgroup_driver": "cgroupDriver",
                "cgroup_root": "cgroupRoot",
                "cpu_manager_policy": "cpuManagerPolicy",
                "memory_manager_policy": "memoryManagerPolicy",
                "topology_manager_policy": "topologyManagerPolicy",
                "topology_manager_scope": "topologyManagerScope",
            }.items()
        }
        if strange := [name for name, word in words.items() if not _WORD.fullmatch(word)]:
            return f"configz: {', '.join(strange)}: no such word is known"
        return KubeletConfig(
            **words,
            cpu_manager_policy_options=frozenset(
                name for name, on in told["cpuManagerPolicyOptions"].children() if on.text() == "true"
            ),
            reserved_system_cpus=CpuSet.parse(told["reservedSystemCPUs"].text()),
        )
    except (ValueError, RecursionError, FieldError, CpuListError) as error:
        return f"configz cannot be read: {error}"
