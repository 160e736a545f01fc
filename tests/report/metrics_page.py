"""Write docs/metrics.md from the families that the code tells: ``python -m tests.report.metrics_page``."""

from pathlib import Path

from tests.report.samples import picture

from pinfold.report.families import Family
from pinfold.report.metrics import families
from pinfold.report.usage import no_files

PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
_TOP = """# Metrics

Generated from the code by `make docs`; a test holds it.

`/metrics` answers in OpenMetrics where `Accept` asks for it, else in the Prometheus text format, gzipped where
`Accept-Encoding` takes it. All but the process's own are computed at the scrape, from the picture that the loop
published last; CPU time, throttling and pressure are then read from the kernel. Series end with their pod. No label
holds a UID or a list of CPUs. Where the kubelet or cAdvisor has a word, it is theirs: put `pinfold_` before
`cpu_manager_…`, `topology_manager_…`, `resource_manager_…` and `container_aligned_compute_resources_count` in a
dashboard of the kubelet's. What the kubelet counts along and can be computed is a gauge here.

Beside these: `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds` and the others of the
Prometheus client's process collector.

| metric | type | labels | unit | meaning |
|---|---|---|---|---|
"""


def told() -> tuple[Family, ...]:
    """Every family that there is: none depends on what a node holds."""
    return tuple(families(picture(), no_files, now=0.0))


def page() -> str:
    rows = (
        (f"`{one.name}`", one.kind.value, ", ".join(map("`{}`".format, one.labels)), one.unit, one.documentation)
        for one in sorted(told(), key=lambda one: one.name)
    )
    return _TOP + "".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in row)}|\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(page())
