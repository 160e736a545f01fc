"""The doors: each takes any bytes, and holds what is promised of whatever comes in.

No exception but the documented one; what was read and written again is the same; and what comes from a pod is placed
as every pod is.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from pinfold.agent.enforcement import Kept
from pinfold.config import ConfigError, load, policy
from pinfold.cpuset import CpuListError, CpuSet, NodeSet
from pinfold.errors import PinfoldError
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import Manage, Policy
from pinfold.pods.model import InvalidPod
from pinfold.pods.reader import is_uid, read_pod
from pinfold.sources.answers import Event, Failed, Page, event, page
from pinfold.sources.pod_protobuf import watch_event
from pinfold.sources.protobuf import ProtobufError
from pinfold.state import VERSION, Checkpoint, StateError, _checksum, _data, checkpoint_of
from pinfold.topology.files import mask
from pinfold.topology.model import Topology
from pinfold.topology.sysfs import read_topology
from pinfold.topology.words import described
from tests.machines import W80
from tests.planning import promises
from tests.sysfs_writer import write_machine

Target = Callable[[bytes], None]
POLICY = Policy(CpuSet.parse("0-1"), manage=Manage.GUARANTEED)
WHERE = Path("checkpoint.json")


def cpu_list(data: bytes) -> None:
    """Parsed, shown and parsed again: the same, in the kernel's own form."""
    text = data.decode(errors="replace")
    for kind in (CpuSet, NodeSet):
        try:
            ids = kind.parse(text)
        except CpuListError:
            continue
        assert kind.parse(str(ids)) == ids
        assert str(kind.parse(str(ids))) == str(ids)
        assert kind.of(ids) == ids
        assert len(list(ids)) == len(ids)
    try:
        mask(text)
    except ValueError:
        return


def pod_json(data: bytes) -> None:
    """Any JSON is a pod or says why not; any pod is placed, with every promise kept."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return
    _placed(raw)


def pod_protobuf(data: bytes) -> None:
    """Any bytes are an event of the Pods API or say why not; what it tells of is a pod as JSON's is."""
    try:
        told = watch_event(data)
    except ProtobufError:
        return
    if told and told.pod:
        assert told.uid
        json.dumps(told.pod).encode()
        _placed(told.pod)


def _placed(raw: object) -> None:
    pod = read_pod(raw, "here")
    if isinstance(pod, InvalidPod):
        assert pod.reason
        assert pod.message.isprintable()
        return
    assert is_uid(pod.uid)
    assert pod.full_name.isprintable()
    world = World(W80, POLICY, (pod,))
    answer = plan(world, Ledger())
    promises.check(world, answer)
    assert plan(world, answer.ledger).ledger == answer.ledger


def watch_stream(data: bytes) -> None:
    """A line of a watch is a value whatever it holds; a list is the same in whatever pieces it arrives."""
    size, text = data[:1], data[1:]
    told = event(text)
    assert not isinstance(told, Event) or (told.version and (told.uid or not told.pod))
    whole = page([text])
    step = 1 + int.from_bytes(size)
    pieces = page([text[place : place + step] for place in range(0, len(text), step)])
    assert pieces == whole or (isinstance(pieces, Failed) and isinstance(whole, Failed))
    assert not isinstance(whole, Page) or whole.version


def checkpoint(data: bytes) -> None:
    """With a checksum that fits: read, or a StateError; and what was read is on disk again as it was."""
    text = data.decode(errors="replace")
    with suppress(StateError):
        checkpoint_of(text, WHERE)
    try:
        inner = json.loads(text)
        document = json.dumps({"version": VERSION, "sha256": _checksum(inner), "data": inner})
    except (ValueError, RecursionError):
        return
    try:
        read = checkpoint_of(document, WHERE)
    except StateError:
        return
    _written_again(read)


def _written_again(read: Checkpoint) -> None:
    data = _data(read, "boot")
    document = json.dumps({"version": VERSION, "sha256": _checksum(data), "data": data})
    assert checkpoint_of(document, WHERE) == read
    try:
        kept = Kept.of(read)
    except ValueError:
        return
    assert Kept.of(kept.into(read)) == kept


def configuration(data: bytes) -> None:
    """Loaded, or refused; what is loaded makes a policy, or is refused."""
    file = _scratch() / "config.yaml"
    file.write_bytes(data)
    try:
        config = load(file, {})
        policy(config, W80)
    except ConfigError:
        return


def sysfs(data: bytes) -> None:
    """One file of a machine with this text in it: a topology that makes sense, or a PinfoldError."""
    root, files = _machine()
    file = files[int.from_bytes(data[:1]) % len(files)]
    before = file.read_bytes()
    file.write_bytes(data[1:])
    try:
        _makes_sense(read_topology(root))
    except PinfoldError:
        return
    finally:
        file.write_bytes(before)


def _makes_sense(topology: Topology) -> None:
    assert topology.online
    assert topology.online.isdisjoint(topology.offline)
    for cpus in (*topology.cores.values(), *topology.node_cpus.values()):
        assert cpus <= topology.online
    assert CpuSet.union(topology.cores.values()) == topology.online
    assert list(described(topology))
    assert plan(World(topology, Policy(topology.online.first(1)), ()), Ledger()).node_shared <= topology.online


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="pinfold-fuzz-"))


@cache
def _machine() -> tuple[Path, tuple[Path, ...]]:
    root = _scratch() / "machine"
    write_machine(root, sockets=2, cores=1, threads=2, hugepages={2048: 4}, offline=[3])
    return root, tuple(sorted(one for one in root.rglob("*") if one.is_file() and not one.is_symlink()))


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (cpu_list, pod_json, pod_protobuf, watch_stream, checkpoint, configuration, sysfs)
}
