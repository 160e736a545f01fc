# docker build -t REGISTRY/pinfold:0.1.0 .
# The wheels are pinned by hash for linux/amd64 and linux/arm64; renew the pins with
#   uv pip compile pyproject.toml --extra dbus --extra grpc --generate-hashes --python-version 3.13 --no-header --no-annotate \
#     --no-emit-package NAME … -o deploy/image/requirements.txt       (NAME: aiohttp and what only it needs)
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /src
COPY deploy/image/ deploy/image/
RUN python -m venv --without-pip /opt/pinfold \
 && python -m venv /build \
 && /build/bin/pip install --no-cache-dir --no-deps --require-hashes -r deploy/image/build-requirements.txt \
 && /build/bin/pip --python /opt/pinfold/bin/python install --no-cache-dir --no-compile --no-deps --only-binary :all: \
      --require-hashes -r deploy/image/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY systemd/ systemd/
COPY daemon/ daemon/
# kubernetes.aio is 41 MiB that nothing imports.
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
 && /build/bin/pip --python /opt/pinfold/bin/python install --no-cache-dir --no-compile --no-deps dist/*.whl \
 && rm -rf /opt/pinfold/lib/python3*/site-packages/kubernetes/aio \
 && /opt/pinfold/bin/pinfold --version
# What is in it: /opt/pinfold/sbom.cdx.json, licences by name; their texts lie beside each package.
RUN /opt/pinfold/bin/python deploy/image/sbom.py > /opt/pinfold/sbom.cdx.json

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Pinfold" \
      org.opencontainers.image.description="Pod-level exclusive CPUs and NUMA-local memory, enforced by the kernel" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/pinfold /opt/pinfold
ENV PATH=/opt/pinfold/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Cgroup files belong to the host's root.
# hadolint ignore=DL3002
USER 0
ENTRYPOINT ["pinfold"]
CMD ["run"]
