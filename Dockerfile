# Tracegrad's daemon. Build: docker build -t tracegrad .
#
# Run: docker run -v tracegrad-state:/var/lib/tracegrad -v $PWD/tracegrad.yaml:/etc/tracegrad/tracegrad.yaml:ro \
#          -e LANGFUSE_PUBLIC_KEY -e LANGFUSE_SECRET_KEY -e OPENAI_API_KEY tracegrad
#
# The web page (8321) listens on 127.0.0.1 of the container, because it has no login: to publish the port, put a proxy
# that knows your users before it and set TRACEGRAD_WEB__HOST=0.0.0.0.
#
# So does the endpoint at which applications ask which version a user gets (8322, docs/which-version.md). To publish it,
# set TRACEGRAD_OFREP__HOST=0.0.0.0 and TRACEGRAD_OFREP__TOKEN: without a token it does not start there.
#
# Proposals to GitHub need nothing more. Those that are pushed with plain git (`forge.kind: git`) need git itself:
# docker build --build-arg WITH_GIT=yes -t tracegrad .

# ---- the wheel, built with the hashed tools that developers use ----------------------------------------------------
FROM python:3.11-slim AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements-dev.lock ./
RUN pip install --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md ./
COPY optimizer optimizer
COPY connectors connectors
COPY gates gates
COPY deploy deploy
COPY sandbox sandbox
RUN python -m hatchling build -t wheel -d /wheel

# ---- the environment: hashed dependencies, the wheel, the pinned promptfoo -------------------------------------------
FROM python:3.11-slim AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/tracegrad/venv
COPY requirements.lock /tmp/requirements.lock
RUN /opt/tracegrad/venv/bin/pip install --require-hashes -r /tmp/requirements.lock
COPY --from=wheel /wheel /tmp/wheel
RUN /opt/tracegrad/venv/bin/pip install --no-deps --no-index /tmp/wheel/*.whl
RUN /opt/tracegrad/venv/bin/tracegrad setup-node --prefix /opt/tracegrad/node

# ---- what runs -------------------------------------------------------------------------------------------------------
FROM python:3.11-slim
# The top-level package names are generic: PYTHONSAFEPATH keeps the working directory from shadowing them.
ENV PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/tracegrad/venv/bin:$PATH \
    TRACEGRAD_CONFIG=/etc/tracegrad/tracegrad.yaml \
    TRACEGRAD_NODE_DIR=/opt/tracegrad/node \
    TRACEGRAD_STATE_DIR=/var/lib/tracegrad
# Only for `forge.kind: git`; ssh is for remotes that are reached by it.
ARG WITH_GIT=
RUN if [ -n "$WITH_GIT" ]; then \
        apt-get update && apt-get install -y --no-install-recommends ca-certificates git openssh-client && \
        rm -rf /var/lib/apt/lists/*; \
    fi
# A fixed number, so that volumes and security policies can name it.
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/tracegrad --shell /usr/sbin/nologin tracegrad
# The same paths as where it was made: the environment and the Node prefix hold absolute ones.
COPY --from=environment /opt/tracegrad /opt/tracegrad
USER 10001
WORKDIR /var/lib/tracegrad
VOLUME /var/lib/tracegrad
EXPOSE 8321 8322
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/healthz', timeout=4)"]
ENTRYPOINT ["tracegrad"]
CMD ["run"]
