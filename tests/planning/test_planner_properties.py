"""What holds of every plan, for any machine and any sequence of pods."""

from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import Plan, World, plan
from pinfold.planning.reasons import Outcome
from pinfold.pods.model import CPU, ContainerKind, PodResources
from pinfold.pods.needs import together
from pinfold.topology.model import Topology
from tests.planning.drawn_worlds import numbers, pods, worlds
from tests.planning.promises import check

NO_LEDGER = Ledger()


def many(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def settled(world: World) -> Plan:
    """The plan of *world*, with pods of all kinds placed."""
    return plan(world, NO_LEDGER)


@many(500)
@given(worlds())
def test_a_plan_keeps_all_its_promises_and_a_full_ledger_changes_nothing(world: World) -> None:
    answer = plan(world, NO_LEDGER)
    check(world, answer)
    again = plan(world, answer.ledger)
    check(world, again)
    assert again.ledger == answer.ledger
    settled = replace(world, found_running=world.found_running - answer.ledger.entries.keys())
    assert plan(settled, answer.ledger) == again, "who was found running stands, now"
    told = [(one.uid, one.outcome) for one in answer.decisions]
    assert [(one.uid, one.outcome) for one in again.decisions] == told
    assert plan(world, again.ledger) == again


@many(200)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_pods_are_told_does_not_matter(world: World, chance: Random) -> None:
    shuffled = list(world.pods)
    chance.shuffle(shuffled)
    assert plan(replace(world, pods=tuple(shuffled)), NO_LEDGER) == plan(world, NO_LEDGER)


@many(300)
@given(worlds(), st.data())
def test_a_pod_that_comes_and_goes_leaves_everything_as_it_was(world: World, data: st.DataObject) -> None:
    before = settled(world)
    visited = replace(world, pods=(*world.pods, data.draw(pods(99))))
    during = plan(visited, before.ledger)
    check(visited, during)
    assert {**during.ledger.entries, **before.ledger.entries} == during.ledger.entries
    assert plan(world, during.ledger).ledger == before.ledger


@many(300)
@given(worlds(), st.data())
def test_only_pods_that_lost_a_cpu_are_moved(world: World, data: st.DataObject) -> None:
    """CPUs go offline, or come to be reserved."""
    before = settled(world)
    lost = CpuSet.of(data.draw(st.lists(st.sampled_from(list(world.topology.online)), min_size=1, max_size=3)))
    left = world.topology.online - world.policy.reserved - lost
    if data.draw(st.booleans()) or not left:
        after_world = replace(world, policy=replace(world.policy, reserved=world.policy.reserved | lost))
    else:
        lost -= world.policy.reserved
        after_world = replace(world, topology=without(world.topology, lost))
    after = plan(after_world, before.ledger)
    check(after_world, after, moved=True)
    for uid_, entry in before.ledger.entries.items():
        if entry.owned.isdisjoint(lost):
            assert after.ledger.entries[uid_] == entry
    assert plan(after_world, after.ledger).ledger == after.ledger


def without(topology: Topology, lost: CpuSet) -> Topology:
    cpus = tuple(cpu for cpu in topology.cpus if cpu.id not in lost)
    return replace(
        topology,
        cpus=cpus,
        nodes=tuple(replace(node, cpus=node.cpus - lost) for node in topology.nodes),
        offline=lost,
        isolated=topology.isolated - lost,
    )


@many(400)
@given(worlds(), st.data())
def test_a_pool_that_grows_keeps_its_cpus_and_one_that_shrinks_gets_no_others(
    world: World, data: st.DataObject
) -> None:
    before = settled(world)
    pooled = [pod for pod in world.pods if pod.uid in before.ledger.entries and before.ledger.entries[pod.uid].cpus]
    if not pooled:
        return
    pod = data.draw(st.sampled_from(pooled))
    assert pod.resources is not None
    cpu = max(1000, pod.resources.requests[CPU] + 1000 * data.draw(numbers(-3, 4)))
    least = together((one.kind, one.requests.get(CPU, 0)) for one in pod.containers)
    amount = {**pod.resources.requests, CPU: max(cpu, -(-least // 1000) * 1000)}
    resized = replace(pod, resources=PodResources(amount, amount))
    after_world = replace(world, pods=tuple(resized if one.uid == pod.uid else one for one in world.pods))
    after = plan(after_world, before.ledger)
    check(after_world, after)
    had, has = before.ledger.entries[pod.uid], after.ledger.entries[pod.uid]
    assert had.cpus <= has.cpus or has.cpus <= had.cpus
    assert had.mems <= has.mems
    kinds = {one.name: one.kind for one in pod.containers}
    for name, cpus in had.slices.items():
        if name in has.slices and kinds[name] is not ContainerKind.INIT:
            assert cpus <= has.slices[name] or has.slices[name] <= cpus
    if has.cpus == had.cpus and amount[CPU] != 1000 * len(had.cpus):
        decision = next(one for one in after.decisions if one.uid == pod.uid)
        assert decision.outcome is Outcome.DEGRADED
    others = {uid_: entry for uid_, entry in before.ledger.entries.items() if uid_ != pod.uid}
    assert {**after.ledger.entries, **others} == after.ledger.entries
    assert plan(after_world, after.ledger).ledger == after.ledger
