"""What the kubelet is configured to, beside what Pinfold is: what is taken from it, and what a person should be told.

Pure.
"""

from collections.abc import Iterator
from dataclasses import replace

from pinfold.config import CgroupDriver, Config
from pinfold.sources.kubelet_config import KubeletConfig


def completed(config: Config, kubelet: KubeletConfig) -> Config:
    """*config* with the kubelet's reserved CPUs, where it names none itself."""
    if config.reserved_system_cpus is not None or not kubelet.reserved_system_cpus:
        return config
    return replace(config, reserved_system_cpus=kubelet.reserved_system_cpus)


def differing(config: Config, kubelet: KubeletConfig) -> Iterator[str]:
    """One sentence for each setting that the two should agree on and do not."""
    reserved = config.reserved_system_cpus
    if reserved is not None and kubelet.reserved_system_cpus and reserved != kubelet.reserved_system_cpus:
        yield _told("reservedSystemCPUs", kubelet.reserved_system_cpus, reserved)
    if config.cgroup_driver is not CgroupDriver.AUTO and kubelet.cgroup_driver not in {"", config.cgroup_driver}:
        yield _told("cgroupDriver", kubelet.cgroup_driver, config.cgroup_driver)
    if (kubelet.cgroup_root or "/") != config.cgroup_root != "/":
        yield _told("cgroupRoot", kubelet.cgroup_root or "/", config.cgroup_root)
    if kubelet.topology_manager_policy not in {"", "none", config.topology_manager_policy}:
        yield _told("topologyManagerPolicy", kubelet.topology_manager_policy, config.topology_manager_policy)
        if kubelet.topology_manager_scope not in {"", config.topology_manager_scope}:
            yield _told("topologyManagerScope", kubelet.topology_manager_scope, config.topology_manager_scope)


def _told(key: str, theirs: object, ours: object) -> str:
    return f"{key}: the kubelet has {theirs}, Pinfold {ours}. Give both the same."
