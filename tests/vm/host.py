"""What the bench needs of the host: a few tools, and Debian's packages from a mirror.

Those packages, the emulator's and the guest's, never touch the host's own system: they come through an apt of our own,
with signatures checked, and are only unpacked.
"""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

CACHE = Path(os.environ.get("PINFOLD_VM_CACHE") or Path.home() / ".cache" / "pinfold-vm")
SUITES = {
    "12": ("bookworm", "bookworm-updates", "bookworm-backports"),
    "13": ("trixie", "trixie-updates", "trixie-backports"),
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {  # the command, the Debian package that has it
    "mke2fs": "e2fsprogs",
    "setpriv": "util-linux",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}


class BenchError(Exception):
    """The machine could not be made or did not come up; the text says why."""


class NotAvailableError(unittest.SkipTest):
    """This host cannot boot a virtual machine; the text says what is missing. A test that meets it is skipped."""


def sh(script: str, *args: object, **env: str) -> str:
    """Run a shell script of the host with *args* as $1, $2...; give what it printed. Raises BenchError."""
    argv = ["sh", "-ec", script, "sh", *map(str, args)]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(
        argv,
        env={**os.environ, "PATH": path, **env},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{script!r} exited {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def missing() -> list[str]:
    """The Debian packages that the bench needs and this host lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = [package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)]
    return packages if KEYRING.exists() else [*packages, "debian-archive-keyring"]


def check() -> None:
    """Raise NotAvailableError unless this host can make and boot machines."""
    if packages := missing():
        how = "apt-get install -y --no-install-recommends" if shutil.which("apt-get") else "install Debian's tools"
        raise NotAvailableError(f"no virtual machines here: {how} {' '.join(packages)}")
    if os.geteuid():
        raise NotAvailableError("no virtual machines here: the guest's disk is made with chroot, which only root may")


def install_missing() -> str:
    """Install by apt what the bench lacks, where this is Debian and we are root; give a line on what was done.

    Raises NotAvailableError, with what a person has to install, elsewhere.
    """
    if not (packages := missing()):
        check()
        return "everything is there"
    if os.geteuid() or not shutil.which("apt-get"):
        check()
    sh(
        "apt-get -q update && apt-get -qy --no-install-recommends install $*",
        *packages,
        DEBIAN_FRONTEND="noninteractive",
    )
    check()
    return "installed " + " ".join(packages)


def private_apt(release: str) -> str:
    """Make an apt beside the host's, with the suites of *release* and nothing installed; give its APT_CONFIG.

    The mirror is the host's where the host is a Debian, else the one that PINFOLD_VM_MIRROR names.
    """
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in lists if path.is_file()) + "\n"
    found = re.search(r"^(?:deb\s.*?|URIs:\s*)(\w+://\S+/debian)/?\s", text, re.MULTILINE)
    if (mirror := os.environ.get("PINFOLD_VM_MIRROR") or (found and found[1])) is None:
        raise NotAvailableError("no Debian mirror in the host's apt sources: name one in PINFOLD_VM_MIRROR")
    apt = CACHE / f"apt-{release}"
    for sub in ("lists/partial", "cache/archives/partial"):
        (apt / sub).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources").write_text("".join(f"deb [signed-by={KEYRING}] {mirror} {s} main\n" for s in SUITES[release]))
    settings = {
        "Dir::Etc::SourceList": apt / "sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
    }
    (apt / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    sh("apt-get -q update", APT_CONFIG=str(apt / "apt.conf"))
    return str(apt / "apt.conf")
