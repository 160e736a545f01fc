"""The rows of docs/kernel.md on partitions, each on the kernels it speaks of."""

import pytest

from tests.cpuset_model import KERNELS, V6_1, V6_12, V7_3, Fault, FaultyState, Kernel
from tests.cpuset_model.script import by_kernel, node, run

OLD, NEW, ALL = (V6_1,), (V6_12, V7_3), KERNELS
REMOTE = """
    K.excl=2-7
    podA.excl=2-3
    podA.part=root
"""
LOCAL = """
    K.cpus=2-7
    K.part=root
    podA.cpus=2-3
    podA.part=root
"""

CASES = [
    pytest.param(
        NEW,
        REMOTE
        + """
        podA.part is root
        podA.eff is 2-3
        c1.eff is 2-3
        root.eff is 0-1,4-7
        S.eff is 0-1,4-7
        B.eff is 0-1,4-7
        """,
        id="remote-partition-takes-its-cpus-from-everybody",
    ),
    pytest.param(
        NEW,
        """
        task t1 in S
        task t2 in podA/c1
        task t0 in root
        """.replace("podA/c1", "c1")
        + REMOTE
        + """
        task t0 runs on 0-1,4-7
        task t1 runs on 0-1,4-7
        task t2 runs on 2-3
        """,
        id="tasks-of-the-root-cgroup-move-out-too",
    ),
    pytest.param(
        NEW,
        REMOTE
        + """
        podA.part=member
        podA.excl=
        K.excl=
        root.eff is 0-7
        podA.eff is 0-7
        """,
        id="undone-from-the-bottom-up",
    ),
    pytest.param(NEW, REMOTE + "rmdir c1\nrmdir c2\nrmdir podA\nroot.eff is 0-7", id="rmdir-returns-the-cpus"),
    pytest.param(ALL, "podA.part=bogus ! EINVAL", id="a-word-that-is-none"),
    pytest.param(OLD, "podA.part=root\npodA.part is root invalid (cpuset.cpus is empty)", id="nothing-set-6.1"),
    pytest.param(
        NEW,
        "podA.part=root\npodA.part is root invalid (cpuset.cpus and cpuset.cpus.exclusive are empty)",
        id="nothing-set",
    ),
    pytest.param(
        OLD,
        "podA.cpus=2-3\npodA.part=root\npodA.part is root invalid (Parent is not a partition root)",
        id="only-cpus-set-6.1",
    ),
    pytest.param(
        NEW,
        "podA.cpus=2-3\npodA.part=root\npodA.part is root invalid (Invalid cpu list in cpuset.cpus.exclusive)",
        id="only-cpus-set",
    ),
    pytest.param(
        NEW,
        """
        K.excl=4-7
        podA.excl=2-3
        podA.part=root
        podA.part is root invalid (Invalid cpu list in cpuset.cpus.exclusive)
        """,
        id="the-parents-exclusive-is-too-small",
    ),
    pytest.param(
        NEW,
        """
        K.excl=0-7
        podA.excl=0-7
        podA.part=root
        podA.part is root invalid (Invalid cpu list in cpuset.cpus.exclusive)
        """,
        id="the-root-cgroup-would-keep-no-cpu",
    ),
    pytest.param(
        (V6_12,),
        """
        B.cpus=0-7
        K.excl=2-7
        podA.excl=2-3
        podA.part=root
        podA.part is root invalid (Cpu list in cpuset.cpus not exclusive)
        podA.eff is 0-7
        """,
        id="a-siblings-cpus-overlap",
    ),
    pytest.param(
        (V7_3,),
        """
        B.cpus=0-7
        K.excl=2-7
        podA.excl=2-3
        podA.part=root
        podA.part is root
        B.eff is 0-1,4-7
        """,
        id="a-siblings-cpus-overlap-7.3",
    ),
    pytest.param(
        NEW,
        REMOTE + "podC.excl=3-4 ! EINVAL\npodC.excl is\npodA.eff is 2-3",
        id="exclusive-sets-of-siblings-do-not-overlap",
    ),
    pytest.param(NEW, "S.cpus=0-1\nK.excl=0-7 ! EINVAL\nK.excl=1-7", id="exclusive-does-not-cover-a-siblings-cpus"),
    pytest.param(
        (V6_12,),
        "B.cpus=0-1,4-7\n" + REMOTE + "podA.excl=2-4 ! EINVAL\npodA.eff is 2-3",
        id="grows-over-a-siblings-cpus",
    ),
    pytest.param(
        (V7_3,),
        "B.cpus=0-1,4-7\n" + REMOTE + "podA.excl=2-4\npodA.eff is 2-4\nB.eff is 0-1,5-7",
        id="grows-over-a-siblings-cpus-7.3",
    ),
    pytest.param(
        (V6_12,),
        REMOTE + "K.excl=4-7\npodA.part is member\nroot.eff is 0-7",
        id="silently-member-when-an-ancestor-shrinks",
    ),
    pytest.param(
        (V7_3,),
        REMOTE + "K.excl=4-7\npodA.part is root invalid (Parent is not a partition root)",
        id="invalid-when-an-ancestor-shrinks-7.3",
    ),
    pytest.param(
        (V7_3,), REMOTE + "K.excl=3-7\npodA.part is root\npodA.eff is 3", id="keeps-what-an-ancestor-leaves-7.3"
    ),
    pytest.param((V6_12,), REMOTE + "K.excl=\npodA.part is root\npodA.eff is 2-3", id="an-ancestors-exclusive-emptied"),
    pytest.param(
        NEW,
        REMOTE
        + "K.control=-cpuset ! EBUSY\npodA.control=-cpuset\nB.control=-cpuset\nK.control=-cpuset\nroot.eff is 0-7",
        id="the-controller-taken-away",
    ),
    pytest.param(
        NEW,
        """
        K.excl=2-7
        podA.excl=2-3
        unprivileged podA.part=root
        podA.part is root invalid (Enable partition not permitted)
        """,
        id="made-without-cap-sys-admin",
    ),
    pytest.param(
        NEW,
        REMOTE
        + """
        unprivileged podA.excl=2-4
        podA.part is root invalid (Parent is not a partition root)
        root.eff is 0-7
        """,
        id="grown-without-cap-sys-admin",
    ),
    pytest.param(
        NEW,
        REMOTE
        + "podA.excl=2-5\npodA.eff is 2-5\npodA.excl=5\npodA.eff is 5\npodA.excl=6-7\npodA.eff is 6-7\nroot.eff is 0-5",
        id="grow-shrink-and-move-are-one-write-each",
    ),
    pytest.param(
        NEW,
        REMOTE
        + """
        podC.excl=4-5
        podC.part=root
        podA.excl=2-4 ! EINVAL
        podC.excl=5
        podA.excl=2-4
        podA.eff is 2-4
        podC.eff is 5
        """,
        id="a-cpu-goes-from-one-pod-to-another",
    ),
    pytest.param(
        (V6_12,),
        REMOTE + "podA.excl=\npodA.part is root invalid (Parent is not a partition root)\nroot.eff is 0-7",
        id="exclusive-emptied",
    ),
    pytest.param((V7_3,), REMOTE + "podA.excl= ! EBUSY\npodA.part is root", id="exclusive-emptied-7.3"),
    pytest.param(
        NEW, REMOTE + "podA.cpus=5\npodA.eff is 2-3\npodA.part is root", id="cpus-have-no-effect-while-exclusive-is-set"
    ),
    pytest.param(
        NEW,
        REMOTE
        + """
        B.excl=2-7 ! EINVAL
        B.excl=4-6
        podB.excl=4-5
        podB.part=root
        podB.part is root
        podA.excl=2-4 ! EINVAL
        podB.excl=5
        podA.excl=2-4 ! EINVAL
        B.excl=5-6
        podA.excl=2-4
        podA.eff is 2-4
        podB.eff is 5
        """,
        id="pools-below-a-qos-slice",
    ),
    pytest.param(
        NEW,
        """
        K.excl=2-7
        podA.excl=6-7
        c1.excl=6-7
        c1.part=root
        podA.part is member
        c1.eff is 6-7
        c2.eff is 0-5
        """,
        id="a-container-is-the-partition-and-its-pod-a-member",
    ),
    pytest.param(
        ALL,
        LOCAL + "root.eff is 0-1\nS.eff is 0-1\nB.eff is 4-7\npodA.eff is 2-3",
        id="local-chain",
    ),
    pytest.param(
        OLD,
        LOCAL
        + """
        B.cpus=2-7
        podA.part is root invalid (Cpu list in cpuset.cpus not exclusive)
        K.eff is 2-7
        podA.part=root
        podA.part is root invalid (Cpu list in cpuset.cpus not exclusive)
        B.cpus=4-7
        podA.cpus=3
        podA.part is root
        podA.eff is 3
        """,
        id="a-siblings-cpus-grow-over-a-local-partition",
    ),
    pytest.param(
        OLD,
        LOCAL + "K.part=member\npodA.part is root invalid (Parent is not a partition root)\nroot.eff is 0-7",
        id="the-parent-becomes-a-member",
    ),
    pytest.param(
        ALL,
        """
        task t1 in podC
        K.cpus=2-3
        K.part=root
        podA.cpus=2-3
        podA.part=root
        podA.part is root invalid (Parent unable to distribute cpu downstream)
        """,
        id="a-parent-with-tasks-would-keep-no-cpu",
    ),
    pytest.param(
        OLD,
        "K.part=root\npodA.cpus=2\npodA.part=root\npodA.part is root invalid (Parent is an invalid partition root)",
        id="the-parent-is-an-invalid-partition",
    ),
    pytest.param(
        NEW,
        REMOTE + "cpu 3 off\npodA.eff is 2\npodA.part is root\ncpu 3 on\npodA.eff is 2-3",
        id="one-of-two-cpus-off-and-on",
    ),
    pytest.param(
        OLD,
        LOCAL + "cpu 3 off\npodA.eff is 2\npodA.part is root\ncpu 3 on\npodA.eff is 2-3",
        id="one-of-two-cpus-off-and-on-6.1",
    ),
    pytest.param(
        OLD,
        """
        task t1 in c1
        K.cpus=2-7
        K.part=root
        podA.cpus=3
        podA.part=root
        cpu 3 off
        podA.part is root invalid (No cpu available due to hotplug)
        task t1 runs on 2,4-7
        cpu 3 on
        podA.part is root
        task t1 runs on 3
        """,
        id="the-last-cpu-off-heals-6.1",
    ),
    pytest.param(
        (V6_12,),
        "task t1 in c1\nK.excl=2-7\npodA.excl=3\npodA.part=root\ncpu 3 off ! EBUSY",
        id="the-last-cpu-off-is-refused",
    ),
    pytest.param(
        (V6_12,),
        """
        task t1 in c1
        K.excl=2-7
        podA.excl=3
        podA.part=root
        podC.excl=5
        podC.part=root
        cpu 3 off
        podA.part is root invalid (No cpu available due to hotplug)
        """,
        id="the-last-cpu-off-is-not-refused-once-another-partition-was-made",
    ),
    pytest.param(
        (V7_3,),
        """
        task t1 in c1
        K.excl=2-7
        podA.excl=3
        podA.part=root
        cpu 3 off
        podA.part is root invalid (No cpu available due to hotplug)
        cpu 3 on
        podA.part is root invalid (No cpu available due to hotplug)
        root.eff is 0-7
        podA.part=root
        podA.part is root
        """,
        id="the-last-cpu-off-does-not-heal-7.3",
    ),
    pytest.param(
        NEW,
        """
        task t1 in c1
        K.excl=2-7
        podA.excl=3
        podA.part=isolated
        root.isolated is 3
        cpu 3 off
        podA.part is isolated invalid (No cpu available due to hotplug)
        root.isolated is
        """,
        id="the-last-cpu-of-an-isolated-partition-off",
    ),
    pytest.param(
        (V7_3,),
        "K.excl=2-7\npodA.excl=3\npodA.part=root\ncpu 3 off\npodA.part is root\npodA.eff is",
        id="the-last-cpu-of-an-empty-pod-off-7.3",
    ),
    pytest.param(
        (V6_12,),
        "K.excl=2-7\npodA.excl=3\ncpu 3 off\npodA.part=root\npodA.part is root\npodA.eff is",
        id="made-of-offline-cpus",
    ),
    pytest.param(
        (V7_3,),
        """
        K.excl=2-7
        podA.excl=3
        cpu 3 off
        podA.part=root
        podA.part is root invalid (Invalid cpu list in cpuset.cpus.exclusive)
        """,
        id="made-of-offline-cpus-7.3",
    ),
]


@pytest.mark.parametrize(("kernel", "script"), by_kernel(CASES))
def test_partitions_answer_as_the_kernel_does(kernel: Kernel, script: str) -> None:
    run(node(kernel), script)


@pytest.mark.parametrize(
    ("kernel", "script"),
    by_kernel(
        [
            pytest.param((V6_12,), "podA.part=root\npodA.part is root", id="root-is-fine"),
            pytest.param(
                (V6_12,), "podA.part=root\ncpu 3 off\npodA.eff is 6\npodA.part is root", id="they-are-balanced-there"
            ),
            pytest.param(
                (V7_3,),
                "podA.part=root\npodA.part is root invalid (partition config conflicts with housekeeping setup)",
                id="root-is-refused",
            ),
            pytest.param(NEW, "podA.part=isolated\npodA.part is isolated", id="isolated-is-fine"),
        ]
    ),
)
def test_cpus_under_isolcpus_make_a_partition_only_where_the_kernel_lets_them(kernel: Kernel, script: str) -> None:
    world = node(kernel, isolcpus="6-7")
    run(world, "K.excl=2-7\npodA.excl=3,6\n" + script)


FAULTS = [
    pytest.param(V6_12, REMOTE, "B.cpus=0-7", Fault.HALF_INVALID, id="a-siblings-cpus-over-a-live-remote-partition"),
    pytest.param(V6_12, REMOTE + "K.excl=", "podA.part=member", Fault.LOST, id="an-ancestors-exclusive-went-first"),
    pytest.param(V6_12, REMOTE + "K.excl=", "podA.excl=", Fault.LOST, id="exclusive-sets-emptied-from-the-top"),
    pytest.param(
        V6_12,
        REMOTE + "c1.cpus=2\nc1.part=root",
        "podA.excl=3",
        Fault.NESTED,
        id="the-parent-of-a-nested-partition-shrinks",
    ),
    pytest.param(
        V7_3,
        REMOTE + "K.part=root",
        "K.cpus=0-1,4-7",
        Fault.TAKES_WHAT_IS_NOT_THERE,
        id="a-local-partition-above-a-remote-one",
    ),
    pytest.param(
        V7_3,
        "podA.cpus=3-5\npodA.part=root\nK.cpus=2-7",
        "K.part=root",
        Fault.RUNS_ELSEWHERE,
        id="turned-valid-by-its-parent",
    ),
    pytest.param(
        V6_12,
        "K.cpus=0-7\nK.part=isolated",
        "K.excl=2-7",
        Fault.GIVES_WHAT_IT_LACKS,
        id="an-invalid-partition-gets-an-exclusive-set",
    ),
    pytest.param(
        V7_3,
        "K.cpus=1-7\nK.part=root\npodA.part=isolated\npodA.cpus=5-6",
        "K.part=member",
        Fault.WRONGLY_ISOLATED,
        id="the-parent-of-an-isolated-partition-becomes-a-member",
    ),
    pytest.param(V6_1, LOCAL, "podA.cpus=", Fault.LOST, id="the-set-of-a-local-partition-emptied-6.1"),
    pytest.param(
        V6_1, "K.cpus=2-5\nK.part=root\npodA.part=root", "podA.cpus=1,6", Fault.SHARED, id="outside-of-its-parent-6.1"
    ),
]


@pytest.mark.parametrize(("kernel", "before", "write", "fault"), FAULTS)
def test_a_write_into_a_faulty_state_is_named(kernel: Kernel, before: str, write: str, fault: Fault) -> None:
    world = node(kernel)
    run(world, before)
    with pytest.raises(FaultyState) as raised:
        run(world, write)
    assert raised.value.fault == fault
