"""The thread that asks the kubelet, over real HTTPS."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.apiserver import Drop, Garbage, LocalApiServer, Refuse
from tests.apiserver.certificates import made, server_context
from tests.apiserver.faults import Fault
from tests.apiserver.marks import needs_openssl
from tests.apiserver.waiting import until
from tests.sources.specimens import large, pod, uid

from pinfold.cpuset import CpuSet
from pinfold.sources.client import ApiServer, ApiServerError
from pinfold.sources.kubelet import KubeletPods
from pinfold.sources.kubelet_config import KubeletConfig, kubelet_config

TOKEN = "of-the-service-account"  # noqa: S105
pytestmark = needs_openssl
Asking = Callable[..., KubeletPods]


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[LocalApiServer]:
    tls = server_context(tmp_path / "pki", "node-1", "kubelet")
    with LocalApiServer(tls=tls, token=TOKEN) as kubelet:
        yield kubelet


@pytest.fixture
def asking(tmp_path: Path, kubelet: LocalApiServer) -> Iterator[Asking]:
    """Asks once, and then only when it is told to."""
    asked: list[KubeletPods] = []

    def ask(trust: Path = tmp_path / "pki/kubelet.crt", name: str = "") -> KubeletPods:
        (tmp_path / "ca.crt").write_text((tmp_path / "pki/kubelet.crt").read_text())
        (tmp_path / "token").write_text(TOKEN)
        server = ApiServer.at_kubelet(kubelet.url.removeprefix("https://"), trust, name, account=tmp_path)
        asked.append(KubeletPods(server, lambda: None, period_s=3600))
        asked[-1].start()
        until(lambda: asked[-1].health.asked, "it was asked")
        return asked[-1]

    yield ask
    for one in asked:
        one.close()
        one.server.close()


def test_its_pods_and_its_configuration_are_heard(kubelet: LocalApiServer, asking: Asking) -> None:
    kubelet.store.put(pod(1))
    kubelet.configz = {"cpuManagerPolicy": "static", "reservedSystemCPUs": "0-1", "cgroupDriver": "systemd"}
    heard = asking()
    assert heard.health.error == ""
    assert heard.picture.objects.keys() == {uid(1)}
    assert heard.config == KubeletConfig(
        "systemd", cpu_manager_policy="static", reserved_system_cpus=CpuSet.parse("0-1")
    )


def test_a_pod_that_is_too_large_is_told_of_and_the_others_are_heard(
    kubelet: LocalApiServer, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinfold.sources.json_stream.MAX_VALUE_BYTES", 1 << 20)
    kubelet.store.put(large(1, 200_000))
    kubelet.store.put(pod(2))
    heard = asking()
    assert heard.health.error == ""
    assert heard.picture.objects.keys() == {uid(2)}
    assert [fault.where for fault in heard.picture.faults] == ["trading/engine-1"]


def test_it_is_asked_at_once_when_somebody_appears(kubelet: LocalApiServer, asking: Asking) -> None:
    heard = asking()
    assert not heard.picture.objects
    kubelet.store.put(pod(1))
    heard.ask()
    until(lambda: heard.picture.objects.keys() == {uid(1)}, "the pod")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Drop(), id="reset"),
        pytest.param(Refuse(403, message="Forbidden (user=pinfold, verb=get, resource=nodes)"), id="no-right-to"),
        pytest.param(Garbage(b"<html>"), id="a-proxys-page"),
        pytest.param(Garbage(b'{"items": [{"metadata": {}}]}'), id="a-pod-without-uid"),
    ],
)
def test_what_it_told_last_holds_while_it_does_not_answer(
    kubelet: LocalApiServer, asking: Asking, fault: Fault
) -> None:
    kubelet.store.put(pod(1))
    with capture_logs() as logs:
        heard = asking()
        kubelet.fault(fault, "list", times=2)
        for _ in range(2):
            before = heard.health.heard_at
            heard.ask()
            until(lambda: bool(heard.health.error), "the failure is told")
            assert heard.health.heard_at == before
        assert heard.picture.objects.keys() == {uid(1)}

        def answers() -> bool:
            heard.ask()
            return not heard.health.error

        until(answers, "it answers again")
    assert [one["event"] for one in logs] == ["kubelet.lost", "kubelet.found"]


def test_nobody_else_is_believed(tmp_path: Path, asking: Asking) -> None:
    stranger, _ = made(tmp_path / "stranger", "node-1")
    assert "CERTIFICATE_VERIFY_FAILED" in asking(trust=stranger).health.error
    assert "Hostname mismatch" in asking(name="node-2").health.error
    assert asking(name="node-1").health.error == ""
    with pytest.raises(ApiServerError, match="caFile"):
        asking(trust=tmp_path / "absent")


def test_its_end_ends_its_thread(asking: Asking) -> None:
    asking().close()
    assert "kubelet-pods" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 100_000, id="too-deep"),
        pytest.param(b'{"kubeletconfig": 7}', id="a-number"),
        pytest.param(b'{"kubeletconfig": {"reservedSystemCPUs": "5-1"}}', id="no-list"),
        pytest.param(json.dumps({"kubeletconfig": {"cgroupDriver": "\x1b[31m"}}).encode(), id="escapes"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_told(body: bytes) -> None:
    assert "configz" in str(kubelet_config(body))
    assert isinstance(kubelet_config(body), str)
