"""What a machine is made of, made once and kept in the cache: emulator, kernel, the guest's disk, Python packages.

`~/.cache/pinfold-vm` or ``PINFOLD_VM_CACHE``; delete it for newer kernels and packages. Each name holds a hash of what
went in, so that a change makes a new one.
"""

import compileall
import contextlib
import fcntl
import hashlib
import lzma
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.vm.host import CACHE, BenchError, NotAvailableError, private_apt, sh

CHECKOUT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).with_name("guest").read_bytes()
KERNELS = {"6.1": ("12", "bookworm"), "6.12": ("12", "bookworm-backports"), "new": ("13", "trixie-backports")}
PYTHONS = {"12": "3.11", "13": "3.13"}
SITE = "/opt/site"  # where the guest has Pinfold's Python packages
PACKAGES = (  # apt takes nothing as installed here, so what Debian calls essential is named too
    *("base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "dbus", "findutils", "grep"),
    *("iproute2", "kmod", "libc-bin", "libudev1", "mawk", "procps", "python3", "sed", "systemd", "systemd-sysv"),
    *("udev", "util-linux"),
)
MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")


@contextlib.contextmanager
def _made_once(path: Path) -> Iterator[Path | None]:
    """Under the cache's lock, yield a folder to fill that then becomes *path*; None where *path* is there already."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            yield None
            return
        print(f"tests.vm: making {path.name} (once)", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            (draft := Path(scratch, "draft")).mkdir()
            yield draft
            draft.rename(path)


def emulator() -> list[str]:
    """The first words of a QEMU command: the host's own QEMU if it is new enough, else one unpacked here.

    Before 8.1 (Debian 12 has 7.2) the emulator now and then runs a stale translation of code that the kernel has just
    patched: "Oops: int3", in 8 of 29 boots of 7.3 with 16 CPUs; 10.0 booted 30 of 30.
    """
    version = sh("qemu-system-x86_64 --version || echo none")
    if (found := re.search(r"version (\d+)\.(\d+)", version)) and (int(found[1]), int(found[2])) >= (8, 1):
        return ["qemu-system-x86_64"]
    if platform.machine() != "x86_64":
        raise NotAvailableError("no virtual machines here: apt-get install qemu-system-x86, 8.1 or newer")
    folder = CACHE / "qemu"
    with _made_once(folder) as draft:
        if draft:
            root = draft / "root"
            _unpack("12", root, "-t", "bookworm-backports", "qemu-system-x86")
            libc = f"{_archives('12')}/libc6_*.deb"  # the host has its own, as new or newer
            sh(f"cd $1; dpkg-deb --fsys-tarfile {libc} | tar -t | grep -v '/$' | xargs rm -f", root)
            sh("cd $1/usr; rm -rf share/doc share/man share/locale", root)
    usr = folder / "root" / "usr"
    firmware = [word for name in ("seabios", "qemu") for word in ("-L", str(usr / "share" / name))]
    libraries = f"LD_LIBRARY_PATH={usr}/lib/x86_64-linux-gnu"
    return ["env", libraries, str(usr / "bin/qemu-system-x86_64"), *firmware]


def kernel(version: str) -> Path:
    """A folder with vmlinuz and MODULES of the newest cloud kernel of that version."""
    folder = CACHE / f"kernel-{version}"
    with _made_once(folder) as draft:
        if draft:
            release, suite = KERNELS[version]
            apt, work = private_apt(release), draft.parent
            about = sh("apt-cache show linux-image-cloud-amd64/$1", suite, APT_CONFIG=apt)
            abi = re.search(r"^Depends:.*\blinux-image-(\d\S+)", about, re.MULTILINE)
            if abi is None:
                raise BenchError(f"{suite} has no linux-image-cloud-amd64")
            for kind in ("image", "binary", "modules"):  # newer ones are split, older are all in image
                with contextlib.suppress(BenchError):
                    package = f"linux-{kind}-{abi[1]}"
                    sh("cd $1; apt-get -q download $2; dpkg-deb -x $2_*.deb x", work, package, APT_CONFIG=apt)
            shutil.move(next(work.glob("x/**/vmlinuz*")), draft / "vmlinuz")
            for place, name in enumerate(MODULES):
                for found in work.glob(f"x/**/{name}.ko*"):  # none: built in
                    raw = found.read_bytes()
                    unpacked = lzma.decompress(raw) if found.suffix == ".xz" else raw
                    (draft / f"{place}-{name}.ko").write_bytes(unpacked)
    return folder


def disk(release: str, more: Sequence[str] = ()) -> Path:
    """A folder with the guest's root.ext4, packages and *more* unpacked and not configured, and its busybox."""
    folder = CACHE / f"disk-{release}-{_hash(GUEST.decode(), *PACKAGES, *more)}"
    with _made_once(folder) as draft:
        if draft:
            _unpack(release, root := draft.parent / "root", *PACKAGES, *more)
            (root / "vm-guest").write_bytes(GUEST)
            sh("chroot $1 busybox sh /vm-guest configure; cp $1/usr/bin/busybox $2", root, draft)
            ext4(root, draft / "root.ext4")
    return folder


def site(release: str, more: Sequence[str] = ()) -> Path:
    """A folder with site.ext4: the packages Pinfold runs on and *more*, for the guest's Python whatever the host's is.

    Without `kubernetes.aio`, which Pinfold never imports and which is more than half of all.
    """
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dbus"], *more]
    python = PYTHONS[release]
    folder = CACHE / f"site-{python}-{_hash(*wanted)}"
    with _made_once(folder) as draft:
        if draft:
            tree = draft.parent / "site"
            sh(
                'python=$1 tree=$2 version=$3; shift 3; "$python" -m pip install -q --no-compile --only-binary=:all:'
                " --implementation cp --python-version $version --platform manylinux_2_28_x86_64"
                " --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64"
                ' --root-user-action ignore --target "$tree" "$@"',
                *(sys.executable, tree, python, *wanted),
            )
            shutil.rmtree(tree / "kubernetes" / "aio", ignore_errors=True)
            compiled(tree, SITE, python)
            ext4(tree, draft / "site.ext4")
    return folder


def compiled(tree: Path, place: str, python: str) -> None:
    """Leave bytecode in *tree*, which the guest has at *place*, if the host's Python is the guest's.

    The emulator compiles many times slower than the host.
    """
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        unused = re.compile(r"/kubernetes/client/(api|models)/|/tests?/")
        compileall.compile_dir(tree, quiet=2, rx=unused, stripdir=str(tree), prependdir=place)


def ext4(tree: Path, image: Path) -> None:
    """Make a disk image of *tree* with 200 MiB of room."""
    files = sum(1 for _ in tree.rglob("*"))
    size_kib = int(sh("du -sk --apparent-size $1", tree).split()[0]) * 11 // 10 + files * 5 + 200 * 1024
    options = "-qt ext4 -m0 -O ^has_journal,^resize_inode -E lazy_itable_init=1"
    sh(f"mke2fs {options} -N $1 -d $2 $3 $4k", files + 20_000, tree, image, size_kib)


def _unpack(release: str, root: Path, *wanted: str) -> None:
    """Unpack what apt calls *wanted*, and all it depends on, into *root*; nothing is configured."""
    apt = private_apt(release)
    sh("apt-get clean; apt-get -qy --download-only install $*", *wanted, APT_CONFIG=apt)
    sh("mkdir -p $1/usr; cd $1; for d in bin sbin lib lib64; do mkdir usr/$d; ln -s usr/$d $d; done", root)
    sh(
        "for deb in $2/*.deb; do dpkg-deb --fsys-tarfile $deb | tar -xC $1 --keep-directory-symlink; done",
        *(root, _archives(release)),
    )


def _archives(release: str) -> Path:
    return CACHE / f"apt-{release}/cache/archives"


def _hash(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:8]
