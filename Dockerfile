# The image of the artifact. From a clone:
#     DOCKER_BUILDKIT=1 docker build --tag stilts-artifact .                          (CUDA; runs without a GPU too)
#     DOCKER_BUILDKIT=1 docker build --build-arg VARIANT=cpu --tag stilts-artifact .  (2 GB instead of 9)
# It downloads nothing that wheelhouse/ holds, so `--network none` works once locks/wheelhouse.sh has filled that.
ARG BASE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# ---- build: packages first, since they change seldom, then our code
FROM ${BASE} AS build
ARG VARIANT=gpu
# A package index or mirror other than pip's default, if given.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1
RUN --mount=type=bind,source=locks,target=/tmp/locks --mount=type=bind,source=wheelhouse,target=/tmp/wheelhouse \
    /tmp/locks/install.sh /opt/venv "$VARIANT" /opt/tools /tmp/wheelhouse

WORKDIR /tmp/source
COPY pyproject.toml README.md LICENSE ./
COPY expected_results expected_results
COPY stilts_artifact stilts_artifact
RUN /opt/tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /tmp/wheels . \
    && /opt/tools/bin/python -m pip --python /opt/venv/bin/python install --quiet --no-deps --no-index \
       --prefix /opt/package /tmp/wheels/*.whl

# ---- run
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/package /opt/venv
# Whatever the user: everything that gets written goes to the results or to /tmp.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    HF_HOME=/tmp/cache/huggingface \
    MPLCONFIGDIR=/tmp/cache/matplotlib
RUN stilts-artifact fetch --scale mini --store /opt/stilts-artifact/mini && chmod -R a+rX /opt/stilts-artifact
ENV STILTS_ARTIFACT_DATA=/opt/stilts-artifact/mini
WORKDIR /artifact
RUN chmod 1777 /artifact && mkdir -m 1777 results
USER 10001:10001
# As Ctrl-C: `docker stop` then ends a run in order, even where Python is process 1.
STOPSIGNAL SIGINT
ENTRYPOINT ["stilts-artifact"]
CMD ["--help"]

ARG VARIANT=gpu
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG BASE
ARG LOCK_SHA256=unknown
# The base's name ends in its digest. There is no label "source": where this project will be published is not known.
LABEL org.opencontainers.image.title="stilts-artifact" \
      org.opencontainers.image.description="Reproduces and checks the tables of arXiv 2005.13013v2 (X-STILTs)" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.base.name="$BASE" \
      stilts-artifact.variant="$VARIANT" \
      stilts-artifact.lock.sha256="$LOCK_SHA256"
