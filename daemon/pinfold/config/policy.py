"""What a configuration means on one machine."""

from pinfold.config.keys import Config
from pinfold.config.reading import ConfigError
from pinfold.cpuset import CpuSet
from pinfold.planning.options import illegal
from pinfold.planning.policy import Policy
from pinfold.topology.model import Topology


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
