"""The certificate that the metrics are served with: read again when its files change, or made here where none is named.

As the kubelet: without ``tlsCertFile`` it signs one for itself. That keeps listeners out, not impostors: a scraper that
must know whom it asks needs a certificate of the cluster's own authority.
"""

import os
import re
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import structlog

from pinfold.errors import PinfoldError

RENEWED_AFTER_S: Final = 180 * 86400.0
_VALID_DAYS: Final = 365
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")

log = structlog.get_logger()


class CertificateError(PinfoldError):
    """There is no certificate to serve with."""


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """Makes certificate and key in *directory*. Needs the ``openssl`` command: Python can make none."""

    directory: Path
    name: str
    """Of the node."""
    address: str
    """That is listened on; one of all interfaces names none."""

    @property
    def files(self) -> tuple[Path, Path]:
        return self.directory / "metrics.crt", self.directory / "metrics.key"

    def make(self) -> None:
        """Unless there is one that is fresh. Raises CertificateError."""
        certificate, key = self.files
        try:
            if key.is_file() and time.time() - certificate.stat().st_mtime < RENEWED_AFTER_S:
                return
        except FileNotFoundError:
            pass
        fresh = [path.with_suffix(f"{path.suffix}.new") for path in self.files]
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in fresh:  # before openssl writes: the key is nobody else's for no moment
                os.close(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            subprocess.run(self._command(*fresh), check=True, capture_output=True, timeout=60)  # noqa: S603
            for path, into in zip(fresh, self.files, strict=True):
                path.replace(into)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or b""
            raise CertificateError(
                f"no certificate could be made: {error} {said.decode(errors='replace').strip()}. "
                "Install openssl, or name report.tlsCertFile and report.tlsPrivateKeyFile."
            ) from error
        log.info("certificate.made", file=str(certificate))

    def _command(self, certificate: Path, key: Path) -> list[str]:
        name = self.name if _NAME.fullmatch(self.name) else "pinfold"
        names = [f"DNS:{name}"]
        try:
            if not (address := ip_address(self.address)).is_unspecified:
                names.append(f"IP:{address}")
        except ValueError:
            pass  # a name, which the scraper may know it by or not
        return [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-days", str(_VALID_DAYS), "-subj", f"/CN={name}", "-addext", f"subjectAltName={','.join(names)}"),
            *("-addext", "extendedKeyUsage=serverAuth", "-out", str(certificate), "-keyout", str(key)),
        ]


class Certificate:
    """A TLS context that follows its files; for any number of threads. Raises CertificateError when made."""

    def __init__(self, certificate: Path, key: Path, maker: SelfSigned | None = None) -> None:
        self._files, self._maker = (certificate, key), maker
        self._lock = threading.Lock()
        if maker:
            maker.make()
        try:
            self._seen = self._look()
            self._context = self._load()
        except OSError as error:
            raise CertificateError(
                f"{certificate} and {key} are no certificate and its key: {error}. "
                "Name PEM files in report.tlsCertFile and report.tlsPrivateKeyFile."
            ) from error

    @classmethod
    def self_signed(cls, maker: SelfSigned) -> "Certificate":
        return cls(*maker.files, maker)

    def context(self) -> ssl.SSLContext:
        """For one more connection. While new files do not fit together, the old ones serve."""
        with self._lock:
            try:
                if self._maker:
                    self._maker.make()
                if (seen := self._look()) != self._seen:
                    self._seen = seen
                    self._context = self._load()
                    log.info("certificate.reloaded", file=str(self._files[0]))
            except (OSError, CertificateError) as error:  # an SSLError is an OSError
                log.warning("certificate.refused", file=str(self._files[0]), reason=str(error))
            return self._context

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What tells a new file from the old: a Secret's is another inode behind the same link."""
        states = (file.stat() for file in self._files)
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        return context
