"""A Kubernetes node, played: the kubelet and the container runtime with real processes in real cgroups.

Runs as root in a virtual machine (`tests.vm.machine`), never on a host that is in use. It imports nothing of Pinfold,
whose counterpart it is, and little else: the emulated machine pays for every import.
"""

from tests.vm.node.kubelet import SANDBOX, Node, Process
from tests.vm.node.tasks import Task, everyone, settings, unit_files

__all__ = ["SANDBOX", "Node", "Process", "Task", "everyone", "settings", "unit_files"]
