"""The kernels the model speaks for."""

from dataclasses import dataclass

from .local import LocalPartitions
from .remote import RemotePartitions
from .remote_latest import SharedSiblings
from .rules import Rules


@dataclass(frozen=True, slots=True)
class Kernel:
    """*exclusive*: whether it has cpuset.cpus.exclusive and remote partitions."""

    name: str
    rules: type[Rules]
    exclusive: bool

    def __str__(self) -> str:
        return self.name


V6_1 = Kernel("6.1", LocalPartitions, exclusive=False)
V6_12 = Kernel("6.12", RemotePartitions, exclusive=True)
V7_3 = Kernel("7.3", SharedSiblings, exclusive=True)
KERNELS = (V6_1, V6_12, V7_3)
