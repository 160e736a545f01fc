"""One node's hours: pods come, grow and go, and all that can go wrong does, drawn from a seed.

The daemon's own loop, sources, planner and checkpoint; an API server over HTTP; a model kernel. After each step the
loop turns until it has nothing to do, and then every promise is kept by the kernel's word; on the way nobody meets an
owner of CPUs whom he meets neither before nor afterwards.
"""

import errno
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from pinfold.agent.loop import RETRY_S, Agent
from pinfold.cgroups.found import Found, from_text, is_found_again
from pinfold.cgroups.paths import ROOT, CgroupPath, File, holds
from pinfold.cgroups.verify import Cause
from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.reasons import Outcome, Word
from pinfold.report.snapshot import Mode, Snapshot
from pinfold.state import FILE, StateError, boot_id
from tests.agent.bench import Bench, Death, Sharing, sharing
from tests.apiserver.faults import Drop, Fault, Garbage, Refuse
from tests.apiserver.server import LocalApiServer
from tests.apiserver.waiting import until
from tests.cgroups.node import KUBEPODS
from tests.cpuset_model import Kernel
from tests.planning import promises
from tests.sysfs_writer import write_machine

from .ground import SoakGround
from .pods import Kind, Played

MOST = 9
"""Pods at once."""
TURNS = 12
"""Within so many the loop has nothing more to do."""
ERRNOS = (errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.EBUSY, errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EIO)
WORDS = ("member", "root", "isolated")
LISTS = ("", "0-15", "2-5", "0-1", "1-11", "4", "8-15")
THEIRS = {ROOT, KUBEPODS}
GARBAGE = (
    b"{",
    b"[]\n",
    b'{"type":"ADDED","object":7}\n',
    b"\xff\xfe\n",
    b'{"type":"MODIFIED","object":{"metadata":{}}}\n',
)


class BrokenError(AssertionError):
    """A promise is; with the step, and the story so far."""


class Churn:
    def __init__(self, kernel: Kernel, tmp: Path, seed: int, server: LocalApiServer) -> None:
        self.random = Random(seed)
        self.server = server
        config = {"kubeconfig": str(server.kubeconfig(tmp / "kubeconfig"))}
        self.bench = Bench.boot(kernel, tmp, apiServer=config)
        self.ground = SoakGround(self.bench.fs.world, tmp / "mount")
        self.bench.fs = self.ground
        self.pods: dict[int, Played] = {}
        self.count = 0
        self.offline: set[int] = set()
        self.away = False
        """The API server is: what it is told waits."""
        self.counts: Counter[str] = Counter()
        self.story: list[str] = []
        self.seen_faults: Counter[str] = Counter()
        self.may_fail: set[str] = set()
        """Faults of a turn that this step provokes."""
        self.spoilt = False
        """Somebody else's hand, or a write that was refused: until it is made up for, who meets whom is his doing."""
        self.bench.start()

    @property
    def agent(self) -> Agent:
        assert self.bench.agent
        return self.bench.agent

    def close(self) -> None:
        self.bench.stop()

    def step(self) -> None:
        """One event, and all that is promised of it. Raises BrokenError."""
        event = self.random.choice(self._events())
        name = event.__name__.replace("_", " ").strip()
        self.story.append(name)
        self.counts[name] += 1
        self.may_fail, self.spoilt, self.ground.written = set(), False, []
        try:
            event()
            snapshot = self._settled()
            if snapshot and self.agent.sources.synced:  # else all stays as it is
                self._promised(snapshot)
        except Exception as error:
            raise BrokenError(f"{' → '.join(self.story[-40:])}: {error!r}") from error

    # --- what happens -------------------------------------------------------------------------------------------

    def _events(self) -> list[Callable[[], None]]:
        """What may happen; what stands twice happens more often."""
        there = [one for one in self.pods.values() if one.has_cgroup and not one.ended]
        events: list[Callable[[], None]] = [
            self._the_daemon_is_restarted,
            self._the_daemon_is_killed_at_a_write,
            self._writes_are_refused,
            self._the_disk_is_full,
            self._the_checkpoint_is_torn,
            self._a_cpu_goes_or_comes,
            self._the_api_server_answers_badly,
            self._the_watch_breaks,
            self._the_api_server_goes_or_comes,
            self._the_kubelet_owns_the_cpusets_for_a_while,
            self._time_passes,
        ]
        if len(self.pods) < MOST:
            events += [self._a_pod_is_told] * 8
        if any(not one.has_cgroup for one in self.pods.values()):
            events += [self._a_cgroup_appears] * 8
        if any(len(one.containers) < len(one.names) for one in there):
            events += [self._a_container_starts] * 8
        if there:
            events += [self._a_pod_is_resized] * 3 + [self._somebody_else_writes] * 4 + [self._processes_end] * 4
        if any(one.ended or not one.has_cgroup for one in self.pods.values()):
            events += [self._a_pod_is_gone] * 6
        if there and not self.offline:
            events += [self._systemd_takes_the_controller_away]
        return events

    def _a_pod_is_told(self) -> None:
        self.count += 1
        kind = self.random.choice([*[Kind.POOL] * 5, *[Kind.ISOLATED] * 2, Kind.PLAIN, Kind.TOO_LARGE, Kind.INVALID])
        cpus = self.random.randint(1, 5)
        engine = self.random.randint(0, cpus)
        one = Played(self.count, kind, cpus, engine, by_api=self.random.random() < 0.6)
        self.pods[self.count] = one
        if self.random.random() < 0.5:
            self._appears(one)
        self._tell(one)

    def _a_cgroup_appears(self) -> None:
        self._appears(self._one_of(lambda one: not one.has_cgroup))

    def _a_container_starts(self) -> None:
        """Named by the pod's status before its cgroup is made, or after."""
        one = self._one_of(lambda one: one.has_cgroup and not one.ended and len(one.containers) < len(one.names))
        name = one.names[len(one.containers)]
        path = one.container(name)
        first = self.random.random() < 0.5
        if first:
            one.containers.append(name)
            self._tell(one)
            self._heard()
        self.ground.make(path)
        self.ground.spawn(path)
        if not first:
            self._turns()
            one.containers.append(name)
            self._tell(one)

    def _a_pod_is_resized(self) -> None:
        one = self._one_of(lambda one: one.has_cgroup and not one.ended)
        least = one.engine or 1
        one.cpus = self.random.randint(least, 6)
        self._tell(one)

    def _processes_end(self) -> None:
        one = self._one_of(lambda one: one.has_cgroup and not one.ended)
        for path in (one.sandbox, *map(one.container, one.names)):
            if path in self.ground.world.paths():
                self.ground.end(path)
        one.ended = True

    def _a_pod_is_gone(self) -> None:
        """Its object and its cgroups, in either order."""
        one = self._one_of(lambda one: one.ended or not one.has_cgroup)
        for step in self.random.sample((self._untell, self._disappears), 2):
            step(one)
            if self.random.random() < 0.5:
                self._turns()
        del self.pods[one.number]

    def _somebody_else_writes(self) -> None:
        """Into what Pinfold mends: partitions made elsewhere are others', and the kubelet rewrites its root cgroup."""
        self.spoilt = True
        owners = [one.path for one in self._owners()]
        for _ in range(self.random.randint(1, 4)):
            path = self.random.choice([CgroupPath(path) for path in self.ground.world.paths() if path not in THEIRS])
            owned = any(holds(owner, path) for owner in owners)
            files = [File.CPUS, File.EXCLUSIVE, File.PARTITION] if owned else [File.CPUS]
            file = self.random.choice(files)
            self.ground.meddle(path, file, self.random.choice(WORDS if file is File.PARTITION else LISTS))
            if self.random.random() < 0.3:
                self._turns()

    def _systemd_takes_the_controller_away(self) -> None:
        self.spoilt = True
        for path in reversed([CgroupPath(one) for one in self.ground.world.paths()]):
            self.ground.world.write(path, File.SUBTREE_CONTROL, "-cpuset")
            self.ground._ring(path, File.SUBTREE_CONTROL, "")

    def _the_daemon_is_restarted(self) -> None:
        self._restart()

    def _the_daemon_is_killed_at_a_write(self) -> None:
        """While it does what the next event asks for."""
        self.ground.dies_at = self.ground.count + self.random.randint(0, 6)
        self._also()
        self.ground.dies_at = None
        if self.bench.agent is None:
            self._restart()

    def _writes_are_refused(self) -> None:
        self.spoilt = True
        first = self.ground.count
        numbers = self.random.sample(range(first, first + 8), self.random.randint(1, 4))
        self.ground.refused = {number: self.random.choice(ERRNOS) for number in numbers}
        self._also()
        self.ground.refused = {}
        self.bench.now_s += RETRY_S

    def _the_disk_is_full(self) -> None:
        """Only files that the checkpoint knows may be written, and those that are found again without."""
        self.may_fail = {StateError.__name__}
        draft = Path(self.bench.config.state_dir) / f"{FILE}.new"
        draft.mkdir()  # no file can be made there, as on a full disk
        self._also()
        known = {(path, file) for path, records in self._found_on_disk().items() for file in records}
        unknown = [
            (path, file, value)
            for path, file, value in self.ground.written
            if (path, file) not in known and not is_found_again(path, file)
        ]
        if unknown:
            raise AssertionError(f"writes that the disk does not know of: {unknown}")
        draft.rmdir()

    def _the_checkpoint_is_torn(self) -> None:
        self.may_fail = {StateError.__name__}
        self.bench.stop()
        file = Path(self.bench.config.state_dir) / FILE
        if file.exists():
            whole = file.read_bytes()
            file.write_bytes(whole[: self.random.randrange(len(whole) or 1)])
        self._restart()

    def _a_cpu_goes_or_comes(self) -> None:
        self.spoilt = True
        if self.offline and self.random.random() < 0.7:
            cpu = self.random.choice(sorted(self.offline))
        else:
            cpu = self.random.choice(list(self.ground.online - CpuSet.of([0, 1])))
        on = cpu in self.offline
        if self.ground.switch(cpu, on=on):
            (self.offline.discard if on else self.offline.add)(cpu)
            self._write_machine()

    def _the_api_server_answers_badly(self) -> None:
        faults: list[Fault] = [
            Drop(),
            Refuse(500),
            Refuse(429, 0),
            Garbage(b"{"),
            Garbage(b'{"kind":"PodList","items":[7]}'),
        ]
        for _ in range(self.random.randint(1, 3)):
            self.server.fault(self.random.choice(faults), self.random.choice(("list", "watch", "events")))
        self.server.cut_watches()

    def _the_watch_breaks(self) -> None:
        match self.random.randrange(5):
            case 0:
                self.server.cut_watches()
            case 1:
                self.server.end_watches()
            case 2:
                self.server.say(self.random.choice(GARBAGE))
            case 3:
                self.server.error_event(410)
            case 4:
                self.server.forget_history()
                self.server.cut_watches()

    def _the_api_server_goes_or_comes(self) -> None:
        if self.away:
            self.server.start()
        else:
            self.server.stop()
        self.away = not self.away

    def _the_kubelet_owns_the_cpusets_for_a_while(self) -> None:
        state = self.bench.tmp / "kubelet" / "cpu_manager_state"
        state.parent.mkdir(exist_ok=True)
        self.spoilt = True
        state.write_text(json.dumps({"policyName": "static", "defaultCpuSet": "0-15", "checksum": 1}))
        self._due()
        snapshot = self._turns()
        if snapshot and self.agent.sources.synced:
            assert snapshot.mode is Mode.OBSERVING, snapshot.mode_reason
            left = [path for path in self.ground.world.paths() if self._partition(path)]
            assert left == [], f"partitions beside a static kubelet: {left}"
        state.write_text(json.dumps({"policyName": "none", "defaultCpuSet": "", "checksum": 1}))
        self._due()

    def _time_passes(self) -> None:
        self.bench.now_s += self.random.choice((1, 10, 60, 3600))

    def _also(self) -> None:
        """Something that has the loop write, while something is wrong."""
        choices: list[Callable[[], None]] = [self._a_pod_is_told]
        if any(one.has_cgroup and not one.ended for one in self.pods.values()):
            choices += [self._a_pod_is_resized, self._processes_end]
        self.random.choice(choices)()
        self._heard()
        try:
            self._turns()
        except Death:
            self.bench.stop()

    # --- what comes of it ---------------------------------------------------------------------------------------

    def _settled(self) -> Snapshot | None:
        """The loop has heard all there is to hear, the timer rang, and there is an end to its writes."""
        self._heard()
        self._turns()
        self.bench.now_s += RETRY_S
        for _ in range(TURNS):
            self._due()
            before = self.ground.taken
            snapshot = self._turns()
            if self.ground.taken == before:
                return snapshot
        raise AssertionError(f"no end to the writes: {self.ground.taken - before} in the last turn")

    def _heard(self) -> None:
        """The loop's picture of pods is that of the API server and of the manifests."""
        if self.away or self.bench.agent is None:
            return
        api = self.agent.sources._api
        assert api

        def heard() -> bool:
            picture, store = api.picture, self.server.store
            is_newest = picture.resource_version == str(store.version)
            return picture.synced and is_newest and picture.objects.keys() == store.pods.keys()

        until(heard, "the loop hears what the API server knows")

    def _turns(self) -> Snapshot | None:
        """Turns, as `Agent.run` has them. None: nothing could be decided yet."""
        for _ in range(TURNS):
            if not self._turn():
                break
        self._turn()
        return self.agent.snapshot()

    def _turn(self) -> bool:
        """Whether another should follow at once."""
        self.agent.sources.wait(0)
        before, alone = sharing(self.ground.world), self._alone()
        self.ground.moments = []
        again = self.agent.reconcile()
        self._no_fault()
        if not self.spoilt:
            self._nobody_met(before, alone & self._alone(), self.ground.moments)
        return again

    def _ledger(self) -> Ledger:
        """What the loop made true last."""
        return self.agent._deciding.planned[2].ledger if self.agent._deciding.planned else Ledger()

    def _due(self) -> None:
        self.agent.sources.refresh()
        self.agent._due = True

    def _no_fault(self) -> None:
        for kind, fault in self.agent._chronicle.counters.faults.items():
            if kind not in self.may_fail and fault.count > self.seen_faults[kind]:
                raise AssertionError(f"a turn failed: {kind}: {fault}")
            self.seen_faults[kind] = fault.count

    def _promised(self, snapshot: Snapshot) -> None:
        assert snapshot.mode is Mode.ENFORCING, snapshot.mode_reason
        assert self.agent._deciding.planned
        world, _, planned = self.agent._deciding.planned
        promises.check(world, planned, moved=True)
        self._each_has_its_own(snapshot)
        self._owners_are_alone(snapshot)
        drift = [one for status in snapshot.pods for one in status.kernel.drift if one.cause != Cause.MEMORY_NOT_MOVED]
        assert drift == [], f"drift: {drift}"
        free = snapshot.node_shared - snapshot.policy.reserved
        for one in planned.decisions:
            if one.outcome is Outcome.SHARED and one.refusal and one.refusal.word is Word.UNEXPECTED_ADMISSION:
                assert one.wanted_cpus > len(free), f"{free} is free and {one.name} is refused: {one}"

    def _each_has_its_own(self, snapshot: Snapshot) -> None:
        """Whoever is pinned runs on its pool, an engine on its slice; and somebody is pinned as it asked."""
        pinned = {one.name: one for one in snapshot.pods}
        for played in self.pods.values():
            status = pinned.get(played.name)
            if status is None or not status.pool or not played.has_cgroup or played.ended:
                continue
            if not self.away:
                assert len(status.pool) == played.cpus or (status.decision and status.decision.refusal), status
            for name in ("", *played.containers):
                path = played.container(name) if name else played.sandbox
                is_known = status.entry and not (played.by_api and self.away)  # else it is in the pod's pool
                cpus = status.entry.slices.get(name, status.pool) if status.entry and is_known else status.pool
                runs = self.ground.world.effective(path)
                assert runs <= cpus, f"{path} runs on {runs}, and not on {cpus}"

    def _owners_are_alone(self, snapshot: Snapshot) -> None:
        effective = self._effective()
        assert all(cpus & self.ground.online for cpus in effective.values()), f"somebody has no CPU: {effective}"
        for one in snapshot.pods:
            mine = next((played.path for played in self.pods.values() if played.name == one.name), None)
            if mine not in self.ground.world.paths():
                continue  # there is nothing yet to confine, and nobody to be alone
            for path, cpus in effective.items():
                if not holds(mine, path):
                    assert cpus.isdisjoint(one.owned), f"{path} runs on {cpus} of {one.name}'s {one.owned}"

    def _alone(self) -> set[CgroupPath]:
        """Cgroups whose processes run on their pod's CPUs, where nobody else does: a pool that is still to be made may
        have its pod narrowed to some of it before, among everybody."""
        owned = {one.path: self._ledger().entries[one.uid].owned for one in self._owners()}
        runs = self._effective()
        others = {**runs, ROOT: self.ground.world.effective(ROOT)} if self.ground.world.kernel.exclusive else runs
        return {
            path
            for path, cpus in runs.items()
            for pod, own in owned.items()
            if holds(pod, path) and cpus <= own
            if all(cpus.isdisjoint(theirs) for other, theirs in others.items() if not holds(pod, other))
        }

    def _nobody_met(self, before: Sharing, alone: set[CgroupPath], moments: list[Sharing]) -> None:
        """After each write of a turn, one of those who were *alone* before it and are afterwards."""
        after, owned = sharing(self.ground.world), self._ledger().owned
        for moment in moments:
            for pair, cpus in moment.items():
                if not alone.isdisjoint(map(CgroupPath, pair)):
                    met = (cpus & owned) - before[pair] - after[pair]
                    assert not met, f"{pair} met on {met}"

    # --- hands --------------------------------------------------------------------------------------------------

    def _one_of(self, fits: Callable[[Played], bool]) -> Played:
        return self.random.choice([one for one in self.pods.values() if fits(one)])

    def _owners(self) -> list[Played]:
        return [one for one in self.pods.values() if one.uid in self._ledger().entries]

    def _tell(self, one: Played) -> None:
        if one.by_api:
            self.server.put_pod(one.json())
        else:
            self.bench.put(one.json())

    def _untell(self, one: Played) -> None:
        if one.by_api:
            self.server.delete_pod(one.uid)
        else:
            self.bench.take(one.number)

    def _appears(self, one: Played) -> None:
        self.ground.make(one.path)
        if self.random.random() < 0.5 and self.ground.dies_at is None:
            self._turns()
        self.ground.make(one.sandbox)
        self.ground.spawn(one.sandbox)
        one.has_cgroup = True

    def _disappears(self, one: Played) -> None:
        for path in reversed(
            [CgroupPath(path) for path in self.ground.world.paths() if holds(one.path, CgroupPath(path))]
        ):
            self.ground.remove(path)

    def _restart(self) -> None:
        self.seen_faults.clear()
        if self.away:  # one that was torn is as it was until the pods are known
            self.may_fail.add(StateError.__name__)
        self.bench.start()

    def _found_on_disk(self) -> Found:
        assert self.bench.state
        try:
            checkpoint = self.bench.state.load(boot_id())
        except StateError:  # torn, and not written anew since
            return {}
        return from_text(checkpoint.found) if checkpoint else {}

    def _write_machine(self) -> None:
        write_machine(self.bench.tmp, sockets=2, cores=4, threads=2, numbering="adjacent", offline=sorted(self.offline))

    def _partition(self, path: str) -> bool:
        return self.ground.read(CgroupPath(path), File.PARTITION) in {"root", "isolated"} and path != ROOT

    def _effective(self) -> dict[CgroupPath, CpuSet]:
        """Of each cgroup with a process; the root's process is held by its affinity where pools are shrunk."""
        world = self.ground.world
        return {path: world.effective(path) for path in map(CgroupPath, world.paths()) if path and world.tasks(path)}
