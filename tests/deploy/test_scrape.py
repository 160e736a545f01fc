"""A real Prometheus scrapes the authenticated port with the shipped settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apiserver.waiting import until
from tests.deploy.prometheus import TOKEN, needed, prometheus, shipped_port
from tests.report.samples import picture

from pinfold.report.routes import Readings

READINGS = Readings(snapshot=picture, config=dict, heartbeat_age_seconds=lambda: 0.0, stale_after_seconds=30.0)

pytestmark = needed


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with shipped_port(READINGS, tmp_path) as address:
        yield address


def test_prometheus_scrapes_the_authenticated_port_with_the_shipped_settings(address: str, tmp_path: Path) -> None:
    with prometheus(address, tmp_path, TOKEN) as query:
        until(lambda: bool(query('pinfold_pod_pool_cpus{pod="postgres"}')), "a sample is there")
        (up,) = query('up{job="pinfold"}')
        assert up["value"][1] == "1"
        assert up["metric"] == {"__name__": "up", "job": "pinfold", "instance": address, "node": "worker-1"}
        (sample,) = query('pinfold_pod_pool_cpus{pod="postgres"}')
        assert sample["value"][1] == "4"
        assert sample["metric"]["namespace"] == "db"  # not the scraped pod's


def test_whom_the_api_server_does_not_let_prometheus_shows_as_down(address: str, tmp_path: Path) -> None:
    with prometheus(address, tmp_path, "forged") as query:
        until(lambda: bool(query('up{job="pinfold"} == 0')), "the target is down")
        assert query("pinfold_build_info") == []
