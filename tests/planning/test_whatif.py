"""What would be, if."""

from dataclasses import replace

from pinfold.cpuset import CpuSet
from pinfold.planning.ledger import Ledger
from pinfold.planning.planner import World, plan
from pinfold.planning.policy import Policy, TopologyPolicy
from pinfold.planning.reasons import Outcome, Word
from pinfold.planning.whatif import changes, fit, placed_again, resized, with_pods, without_pods
from pinfold.pods.model import CPU, MEMORY, Intent, InvalidPod, Pod, QosClass
from tests.machines import D80, H12
from tests.planning.pods import amounts, app, pod, uid

POLICY = Policy(CpuSet.parse("0,6"))
ENGINE = pod(app("engine", 3, 1), app("log"), cpu=4, gib=8, number=1)
OTHER = pod(app("a"), cpu=4, gib=1, number=2)
WORLD = World(H12, POLICY, (ENGINE,))


def test_a_pod_that_is_added_changes_only_itself() -> None:
    before = plan(WORLD, Ledger())
    after = plan(with_pods(WORLD, [OTHER]), before.ledger)
    (change,) = changes(before, after)
    assert (change.full_name, change.uid) == (OTHER.full_name, OTHER.uid)
    assert (change.before, change.had) == (None, None)
    assert change.after is not None
    assert change.after.outcome is Outcome.PINNED
    assert change.gets == after.ledger.entries[OTHER.uid]


def test_a_pod_that_is_removed_may_make_room_for_another() -> None:
    world = with_pods(WORLD, [pod(app("a"), cpu=8, gib=1, number=2)])
    before = plan(world, Ledger())
    after = plan(without_pods(world, [ENGINE.full_name]), before.ledger)
    gone, placed = changes(before, after)
    assert (gone.full_name, gone.after, gone.gets) == (ENGINE.full_name, None, None)
    assert gone.had == before.ledger.entries[ENGINE.uid]
    assert placed.before is not None
    assert placed.before.outcome is Outcome.SHARED
    assert placed.gets is not None


def test_a_pod_that_shares_is_a_change_when_it_comes() -> None:
    before = plan(WORLD, Ledger())
    (change,) = changes(
        before, plan(with_pods(WORLD, [pod(app("a", 1), qos=QosClass.BURSTABLE, number=3)]), before.ledger)
    )
    assert (change.before, change.had, change.gets) == (None, None, None)


def test_plans_that_agree_have_no_changes() -> None:
    before = plan(WORLD, Ledger())
    assert changes(before, plan(WORLD, before.ledger)) == ()


def test_another_refusal_is_a_change_too() -> None:
    refused = with_pods(WORLD, [pod(app("a"), cpu=8, gib=1, number=2)])
    strict = replace(refused, policy=replace(POLICY, topology_policy=TopologyPolicy.RESTRICTED))
    (change,) = (one for one in changes(plan(refused, Ledger()), plan(strict, Ledger())) if one.uid == uid(2))
    assert change.had is change.gets is None


def test_a_pod_takes_the_place_of_its_older_self() -> None:
    assert with_pods(WORLD, [replace(ENGINE, name="new")]).pods == (replace(ENGINE, name="new"),)


def test_a_pod_may_be_resized_as_a_whole() -> None:
    larger = resized(replace(ENGINE, resize_pending="Deferred"), {CPU: 6000})
    assert isinstance(larger, Pod)
    assert larger.resources is not None
    assert larger.resources.requests == larger.resources.limits == {**amounts(6, 8)}
    assert larger.resize_pending == ""


def test_one_container_may_be_resized() -> None:
    larger = resized(ENGINE, {CPU: 2000}, "engine")
    assert isinstance(larger, Pod)
    assert larger.containers[0].requests == larger.containers[0].limits == {**amounts(2, 1)}
    assert larger.containers[1] == ENGINE.containers[1]
    alone = resized(pod(app("a", 2, 1)), {MEMORY: 5}, "a")
    assert isinstance(alone, Pod)
    assert alone.containers[0].requests[MEMORY] == 5


def test_what_the_api_server_would_refuse_is_refused() -> None:
    assert isinstance(too_small := resized(ENGINE, {CPU: 2000}), InvalidPod)
    assert too_small == InvalidPod("InvalidPod", "2 cpu: its containers ask for 3", ENGINE.full_name, ENGINE.uid)
    assert isinstance(unknown := resized(ENGINE, {CPU: 2000}, "other"), InvalidPod)
    assert unknown.message == "has no container other"
    assert isinstance(poolless := resized(pod(app("a", 2, 1)), {CPU: 2000}), InvalidPod)
    assert "name the container" in poolless.message


def test_as_many_as_fit_are_counted_and_what_blocks_the_next_is_told() -> None:
    policy = replace(POLICY, topology_policy=TopologyPolicy.SINGLE_NUMA_NODE)
    answer = fit(World(H12, policy, ()), Ledger(), OTHER, most=9)
    assert answer.count == 2
    assert answer.blocks is not None
    assert answer.blocks.word is Word.TOPOLOGY_AFFINITY
    assert len(answer.plan.ledger.entries) == 2


def test_what_is_not_aligned_does_not_count() -> None:
    answer = fit(World(H12, POLICY, ()), Ledger(), pod(app("a"), cpu=3, gib=1), most=9)
    assert answer.count == 3
    assert answer.blocks is not None
    large = fit(WORLD, plan(WORLD, Ledger()).ledger, pod(app("a"), cpu=5, gib=1), most=9)
    assert large.count == 1
    spread = fit(World(D80, Policy(CpuSet.parse("0,40")), ()), Ledger(), pod(app("a"), cpu=30, gib=1), most=9)
    assert spread.count == 2
    assert spread.blocks is not None
    split = World(H12, Policy(CpuSet.parse("0,6,1")), ())
    blocked = fit(split, Ledger(), pod(app("a"), cpu=6, gib=1), most=1)
    assert blocked.blocks is not None
    assert (blocked.count, blocked.blocks.word, blocked.blocks.can_pass) == (0, Word.TOPOLOGY_AFFINITY, True)
    assert blocked.blocks.message == "the next would not be aligned: it needs more NUMA nodes"


def test_as_many_as_were_asked_for_is_an_answer() -> None:
    answer = fit(WORLD, plan(WORLD, Ledger()).ledger, ENGINE, most=1)
    assert (answer.count, answer.blocks) == (1, None)


def test_a_pod_that_gets_nothing_of_its_own_never_fits() -> None:
    answer = fit(WORLD, Ledger(), pod(app("a", 1), qos=QosClass.BURSTABLE, number=3), most=9)
    assert answer.count == 0
    assert answer.blocks is not None
    assert "gets no CPUs of its own" in answer.blocks.message
    assert (answer.blocks.word, answer.blocks.can_pass) == (Word.UNEXPECTED_ADMISSION, False)


def test_the_hints_of_a_pool_that_stands_can_be_weighed_again() -> None:
    waiting = pod(app("a"), cpu=6, gib=1, number=3, started_at="2026-01-01T00:00:00Z")
    world = with_pods(WORLD, [OTHER, waiting])
    stands = plan(with_pods(WORLD, [OTHER]), Ledger()).ledger
    decision = placed_again(world, stands, ENGINE.uid)
    assert decision is not None
    assert (decision.outcome, str(decision.pool)) == (Outcome.PINNED, "2,4,8,10")
    assert decision.hints
    beside = placed_again(world, stands, OTHER.uid)
    assert beside is not None
    assert beside.pool.isdisjoint(decision.pool), "what others own is theirs"
    assert placed_again(world, stands, uid(9)) is None


def test_a_pod_without_annotations_is_copied_with_its_own_name() -> None:
    answer = fit(WORLD, Ledger(), replace(ENGINE, intent=Intent()), most=1)
    assert [one.full_name for one in answer.plan.decisions] == ["default/pod-1", "default/pod-1-1"]
