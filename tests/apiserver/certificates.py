"""Certificates for tests, by openssl: each vouches for itself."""

import ssl
import subprocess
from pathlib import Path


def made(directory: Path, name: str, stem: str = "tls") -> tuple[Path, Path]:
    """A certificate of *name*, and for 127.0.0.1, and its key."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / f"{stem}.crt", directory / f"{stem}.key"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} "
        f"-addext subjectAltName=IP:127.0.0.1,DNS:{name} -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    return certificate, key


def server_context(directory: Path, name: str = "kubernetes", stem: str = "tls") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*made(directory, name, stem))
    return context
