"""``pinfold topology``: what this machine is, or another from its sysfs."""

from argparse import Namespace

from pinfold.cli.machine import machine
from pinfold.cli.output import say_json
from pinfold.topology.words import described


def main(options: Namespace) -> int:
    topology = machine(options.sysfs)
    if options.output == "json":
        from pinfold.report.status import topology_json  # with all that a status is made of

        say_json(topology_json(topology))
    else:
        print("\n".join(described(topology)))
    return 0
