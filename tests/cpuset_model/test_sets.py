"""The rows of docs/kernel.md on sets without partitions, on memory nodes, on processes and on tasks' own masks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinfold.cpuset import CpuSet
from tests.cpuset_model import KERNELS, V6_1, V6_12, V7_3, Kernel
from tests.cpuset_model.script import FILES, PLACES, by_kernel, node, run

OLD, NEW, ALL = (V6_1,), (V6_12, V7_3), KERNELS

CASES = [
    pytest.param(ALL, "K.cpus=0-3\npodA.cpus=5-6\npodA.eff is 0-3", id="nothing-in-common-with-the-parent"),
    pytest.param(ALL, "K.cpus=0-3\npodA.cpus=2-6\npodA.eff is 2-3", id="partly-inside-the-parent"),
    pytest.param(
        ALL,
        """
        K.cpus=0-3
        podA.cpus=2-3
        K.cpus=5-7
        podA.cpus is 2-3
        podA.eff is 5-7
        K.cpus=1-4
        podA.eff is 2-3
        """,
        id="the-parent-moves-away-and-comes-back",
    ),
    pytest.param(
        (V6_1, V6_12), "task t1 in podC\npodC.cpus=2\npodC.cpus= ! ENOSPC\npodC.cpus is 2", id="emptied-populated"
    ),
    pytest.param((V7_3,), "task t1 in podC\npodC.cpus=2\npodC.cpus=\npodC.eff is 0-7", id="emptied-populated-7.3"),
    pytest.param(ALL, "podC.cpus=2\npodC.cpus=\npodC.eff is 0-7", id="emptied-unpopulated"),
    pytest.param(ALL, "podC.cpus=0-8 ! ERANGE\npodC.cpus=2,8 ! ERANGE", id="beyond-the-possible-cpus"),
    pytest.param(ALL, "cpu 5 off\npodC.cpus=4-5\npodC.cpus is 4-5\npodC.eff is 4", id="an-offline-cpu-is-left-out"),
    pytest.param(ALL, "cpu 5 off\npodC.cpus=5\npodC.eff is 0-4,6-7\ncpu 5 on\npodC.eff is 5", id="only-offline-cpus"),
    pytest.param(ALL, "podC.cpus=x ! EINVAL\npodC.cpus=3-1 ! EINVAL", id="no-list"),
    pytest.param(
        ALL,
        """
        podC.cpus=0,,1
        podC.cpus is 0-1
        podC.cpus=0-7:1/2
        podC.cpus is 0,2,4,6
        podC.cpus=all
        podC.cpus is 0-7
        podC.cpus=4-N
        podC.cpus is 4-7
        podC.cpus=1 3
        podC.cpus is 1,3
        """,
        id="odd-lists-that-are-taken",
    ),
    pytest.param(ALL, "rmdir podC\npodC.cpus=1 ! ENOENT\npodC.cpus is ENOENT", id="a-cgroup-that-is-gone"),
    pytest.param(
        ALL, "task t1 in c1\ntask t2 in podA ! EBUSY\nrmdir c1 ! EBUSY", id="no-process-beside-populated-children"
    ),
    pytest.param(
        ALL,
        """
        mkdir podC/c4
        task t1 in podC
        podC.control=+cpuset
        podC/c4.type is domain invalid
        task t2 in podC/c4 ! EOPNOTSUPP
        """,
        id="cpuset-turned-on-where-processes-are",
    ),
    pytest.param(
        ALL,
        """
        podA.control=-cpuset
        task t1 in c1
        podA.cpus=2-3
        task t1 runs on 2-3
        c1.cpus is ENOENT
        podA.control=+cpuset
        c1.cpus=3
        podA.control=-cpuset
        podA.control=+cpuset
        c1.cpus is
        """,
        id="without-cpuset-files-the-one-above-is-obeyed",
    ),
    pytest.param((V6_1, V6_12), "task t1 in podC\npodC.mems=1\npodC.mems= ! ENOSPC", id="mems-emptied-populated"),
    pytest.param(
        (V7_3,), "task t1 in podC\npodC.mems=1\npodC.mems=\npodC.memseff is 0-1", id="mems-emptied-populated-7.3"
    ),
    pytest.param(ALL, "podC.mems=2 ! EINVAL\npodC.mems=0,5 ! EINVAL", id="mems-of-a-node-that-is-not-there"),
    pytest.param(
        (V6_12,),
        "K.excl=2-7\nS.cpus=2-7\nK.mems=0 ! EINVAL\nS.mems=0 ! EINVAL\nS.cpus=0-7\nK.mems=0",
        id="mems-refused-while-a-sibling-has-only-cpus-of-exclusive",
    ),
    pytest.param(ALL, "K.mems=0\npodC.mems=1\npodC.memseff is 0\nK.mems=0-1\npodC.memseff is 1", id="mems-of-a-child"),
    pytest.param(
        ALL, "podC.cpus=0-1\ntask t1 in podC\ntask t1 wants 2-3 ! EINVAL\ntask t1 runs on 0-1", id="affinity-outside"
    ),
    pytest.param(ALL, "podC.cpus=0-1\ntask t1 in podC\ntask t1 wants 1-3\ntask t1 runs on 1", id="affinity-is-cut"),
    pytest.param(
        OLD,
        """
        task t1 in podC
        task t1 wants 1-3
        podC.cpus=0-1
        task t1 runs on 0-1
        podC.cpus=0-7
        task t1 runs on 0-7
        """,
        id="6.1-forgets-the-mask-of-a-task",
    ),
    pytest.param(
        NEW,
        """
        task t1 in podC
        task t1 wants 1-3
        podC.cpus=0-1
        task t1 runs on 1
        podC.cpus=6-7
        task t1 runs on 6-7
        podC.cpus=0-7
        task t1 runs on 1-3
        S.cpus=2-5
        task t1 in S
        task t1 runs on 2-3
        task t1 in podC
        task t1 runs on 1-3
        """,
        id="6.12-remembers-the-mask-of-a-task",
    ),
]


@pytest.mark.parametrize(("kernel", "script"), by_kernel(CASES))
def test_sets_answer_as_the_kernel_does(kernel: Kernel, script: str) -> None:
    run(node(kernel), script)


writes = st.tuples(
    st.sampled_from(sorted(set(PLACES.values()))),
    st.sampled_from([FILES[file] for file in ("cpus", "excl", "mems")]),
    st.one_of(st.builds(str, st.builds(CpuSet, st.integers(0, 255))), st.text("0123456789,-N:/ x", max_size=6)),
)


@given(st.sampled_from(KERNELS), st.lists(writes, max_size=12))
@settings(deadline=None)
def test_without_partitions_a_cgroup_has_what_it_shares_with_its_parent_or_all_of_it(
    kernel: Kernel, steps: list[tuple[str, str, str]]
) -> None:
    world = node(kernel)
    for path, file, text in steps:
        untouched = world.copy()
        before = [untouched.effective(one) for one in untouched.paths()]
        world.write(path, file, text)
        assert [untouched.effective(one) for one in untouched.paths()] == before, "a copy shares nothing"
    for path in world.paths():
        if path:
            above = world.effective(path.rpartition("/")[0])
            own = CpuSet.parse(str(world.read(path, "cpuset.cpus")))
            assert world.effective(path) == (own & above or above)
