"""The port that others reach: over TLS, who may read is the API server's word, and nobody can wear either out."""

import http.client
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.apiserver import LocalApiServer, Refuse
from tests.apiserver.certificates import made, server_context
from tests.apiserver.reviews import User
from tests.report.samples import picture

from pinfold.errors import PinfoldError
from pinfold.report.access import Access, Limits
from pinfold.report.certificate import RENEWED_AFTER_S, Certificate, CertificateError, SelfSigned
from pinfold.report.http import Endpoint, MetricsPort
from pinfold.report.routes import Readings
from pinfold.sources.client import ApiServer

READINGS = Readings(snapshot=picture, config=dict, heartbeat_age_seconds=lambda: 0.0, stale_after_seconds=30.0)
PROMETHEUS, STRANGER = "of-prometheus", "of-a-stranger"


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalApiServer]:
    """Over HTTPS; it knows Pinfold's own token and two bearers, of whom one may read."""
    with LocalApiServer(tls=server_context(tmp_path / "api"), token="of-pinfold") as running:  # noqa: S106
        running.users = {
            PROMETHEUS: User("system:serviceaccount:monitoring:prometheus", frozenset({"/metrics"})),
            STRANGER: User("system:serviceaccount:default:default"),
        }
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(server: LocalApiServer, clock: Clock, tmp_path: Path) -> Access:
    api = ApiServer.from_kubeconfig(server.kubeconfig(tmp_path / "kubeconfig", tmp_path / "api/tls.crt"))
    return Access(api.create, Limits(per_minute=5, verdicts=3), clock)


def judged(access: Access, token: str) -> int:
    return access.verdict(f"Bearer {token}", "/metrics").status


def test_the_api_server_says_who_may_read(access: Access, server: LocalApiServer) -> None:
    assert [judged(access, token) for token in (PROMETHEUS, STRANGER, "forged")] == [200, 403, 401]
    (asked, *_) = [one.body for one in server.asked("reviews") if one.body["kind"] == "SubjectAccessReview"]
    assert asked["spec"]["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}
    assert asked["spec"]["user"] == "system:serviceaccount:monitoring:prometheus"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic of-prometheus", f"Bearer {'x' * 20_000}"])
def test_what_is_no_token_is_shown_to_nobody(access: Access, server: LocalApiServer, header: str) -> None:
    assert access.verdict(header, "/metrics").status == 401
    assert server.asked("reviews") == []


def test_a_verdict_is_kept_for_a_while_and_no_longer(access: Access, server: LocalApiServer, clock: Clock) -> None:
    for _ in range(5):
        assert judged(access, PROMETHEUS) == 200
    assert len(server.asked("reviews")) == 2
    server.users.clear()
    clock.s += 59
    assert judged(access, PROMETHEUS) == 200
    clock.s += 2
    assert judged(access, PROMETHEUS) == 401


def test_whoever_was_let_in_is_let_in_through_an_outage_of_some_minutes(
    access: Access, server: LocalApiServer, clock: Clock
) -> None:
    assert judged(access, PROMETHEUS) == 200
    server.stop()
    clock.s += 599
    assert [judged(access, PROMETHEUS), judged(access, STRANGER)] == [200, 503]
    clock.s += 2
    assert judged(access, PROMETHEUS) == 503


def test_a_refusal_of_the_review_itself_is_told_as_such(access: Access, server: LocalApiServer) -> None:
    server.fault(Refuse(403), on="reviews")
    verdict = access.verdict(f"Bearer {PROMETHEUS}", "/metrics")
    assert verdict.status == 503
    assert "403" in verdict.why


def test_strangers_load_the_api_server_no_more_than_agreed_and_push_no_reader_out(
    access: Access, server: LocalApiServer, clock: Clock
) -> None:
    assert judged(access, PROMETHEUS) == 200
    statuses = [judged(access, f"forged-{number}") for number in range(50)]
    assert statuses.count(401) == 4
    assert statuses.count(503) == 46
    assert judged(access, PROMETHEUS) == 200
    assert len(server.asked("reviews")) == 6
    clock.s += 61
    assert judged(access, PROMETHEUS) == 200


@pytest.mark.parametrize("created", [{}, {"status": []}, {"status": {"authenticated": True, "user": "root"}}])
def test_a_review_in_another_form_lets_nobody_in(created: dict[str, object]) -> None:
    assert Access(lambda *_: created).verdict("Bearer x", "/metrics").status == 503


def test_an_api_server_that_hangs_holds_up_a_few_readers_and_no_more() -> None:
    asked: list[str] = []

    def create(path: str, _: object) -> dict[str, object]:
        asked.append(path)
        assert slow.verdict("Bearer b", "/metrics").status == 503  # meanwhile, another comes
        raise PinfoldError("no answer")

    slow = Access(create, Limits(reviewers=1))
    assert slow.verdict("Bearer a", "/metrics").status == 503
    assert len(asked) == 1


def get(endpoint: Endpoint, path: str, context: ssl.SSLContext, token: str = "") -> tuple[int, dict[str, str], bytes]:
    (address,) = endpoint.addresses
    with closing(http.client.HTTPSConnection(address, timeout=30, context=context)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_the_port_shows_metrics_to_whom_the_api_server_lets_and_health_to_all(access: Access, tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "worker-1")
    trusted = trusting(certificate)
    port = MetricsPort("127.0.0.1:0", access, Certificate(certificate, key))
    with Endpoint(READINGS, metrics=port) as endpoint:
        status, headers, body = get(endpoint, "/metrics", trusted)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert b"pinfold_" not in body
        assert get(endpoint, "/metrics", trusted, STRANGER)[0] == 403
        assert b"pinfold_cpus" in get(endpoint, "/metrics", trusted, PROMETHEUS)[2]
        assert get(endpoint, "/livez", trusted)[::2] == (200, b"ok\n")
        assert get(endpoint, "/status", trusted)[0] == 401
        assert get(endpoint, "/status", trusted, PROMETHEUS)[0] == 403
        (address,) = endpoint.addresses
        with closing(http.client.HTTPConnection(address, timeout=30)) as plain:
            plain.request("GET", "/livez")
            with pytest.raises((OSError, http.client.HTTPException)):
                plain.getresponse()
        assert get(endpoint, "/livez", trusted)[0] == 200


def test_a_handshake_that_never_ends_holds_up_nobody_else(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "worker-1")
    with Endpoint(READINGS, metrics=MetricsPort("127.0.0.1:0", None, Certificate(certificate, key))) as endpoint:
        (address,) = endpoint.addresses
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as silent:
            silent.sendall(b"\x16\x03\x01")
            assert get(endpoint, "/livez", trusting(certificate))[0] == 200


def test_a_renewed_certificate_serves_from_the_next_connection_on(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    certificate, key = made(old, "first")
    live = tmp_path / "live"
    live.symlink_to(old)  # as a Secret's volume is swapped
    served = Certificate(live / certificate.name, live / key.name)
    with Endpoint(READINGS, metrics=MetricsPort("127.0.0.1:0", None, served)) as endpoint:
        assert get(endpoint, "/livez", trusting(certificate))[0] == 200
        renewed, _ = made(new, "second")
        (tmp_path / "next").symlink_to(new)
        (tmp_path / "next").replace(live)
        assert get(endpoint, "/livez", trusting(renewed))[0] == 200
        renewed.write_text("half of a new one")
        assert get(endpoint, "/livez", anybody())[0] == 200


def anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_where_no_certificate_is_named_one_is_made_kept_and_renewed_in_time(tmp_path: Path) -> None:
    maker = SelfSigned(tmp_path / "tls", "worker-1", "127.0.0.1")
    served = Certificate.self_signed(maker)
    certificate, key = maker.files
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with Endpoint(READINGS, metrics=MetricsPort("127.0.0.1:0", None, served)) as endpoint:
        assert get(endpoint, "/livez", trusting(certificate))[0] == 200  # its name is the address
        first = certificate.read_text()
        Certificate.self_signed(maker)
        assert certificate.read_text() == first
        old = time.time() - RENEWED_AFTER_S - 1
        os.utime(certificate, (old, old))
        assert get(endpoint, "/livez", anybody())[0] == 200
        assert certificate.read_text() != first
        assert get(endpoint, "/livez", trusting(certificate))[0] == 200


def test_files_that_are_no_certificate_are_told_at_once(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "a")
    key.write_text(made(tmp_path / "b", "b")[1].read_text())
    with pytest.raises(CertificateError, match=r"report\.tlsCertFile"):
        Certificate(certificate, key)
    with pytest.raises(CertificateError, match="no certificate and its key"):
        Certificate(tmp_path / "nowhere", key)
