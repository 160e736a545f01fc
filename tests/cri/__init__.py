"""A real runtime on a real kernel: Debian's containerd with runc and crun, driven over CRI as the kubelet drives it.

`containerd` runs the runtime in the guest, `image` makes what its containers run, `kubelet` plays the kubelet over the
CRI socket, `probe` is every container's entrypoint and tells what its first instruction was allowed. `starts` counts
who was born outside, `life` does to running pods what happens to them in a cluster. Pinfold runs as a process of its
own and is told nothing by any of these: it finds pods at an API server, in the cgroup tree and in the bundles.
"""

PACKAGES = ("containerd", "crun", "libstdc++6", "openssl", "runc")
WHEELS = ("container-runtime-interface-api>=2,<3",)
"""What the guest needs beside its own packages."""
