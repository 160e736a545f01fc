"""The one image that every container here runs: Debian's static busybox, as an OCI layout in a tar file."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "localhost/busybox:1"
BUSYBOX = Path("/usr/bin/busybox")
_APPLETS = ("cat", "false", "sh", "sleep", "true")
_FOLDERS = ("bin", "dev", "etc", "proc", "probes", "sys", "tmp")


def write(path: Path) -> None:
    """Write the image to *path*; `ctr images import` takes it. Without a command it is a pause."""
    layer = _layer()
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar", layer)],
        }
    )
    named = _descriptor("manifest.v1+json", manifest) | {"annotations": {"io.containerd.image.name": NAME}}
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    layout = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [named]}),
    }
    path.write_bytes(_tar(layout | blobs, {}))


def unpack(folder: Path) -> None:
    """The image's files, as a root file system."""
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "bin")
    for name in _APPLETS:
        (folder / "bin" / name).symlink_to("busybox")


def _layer() -> bytes:
    return _tar(
        dict.fromkeys(_FOLDERS) | {"bin/busybox": BUSYBOX.read_bytes()},
        {f"bin/{name}": "busybox" for name in _APPLETS},
    )


def _tar(files: Mapping[str, bytes | None], links: Mapping[str, str]) -> bytes:
    """A tar of folders (None), files and symbolic links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            member.size = len(content or b"")
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(content or b""))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return out.getvalue()


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": _digest(blob), "size": len(blob)}
