"""What does the operator cost? So many Tenants at once until all are provisioned, beside a client that only applies the three
objects of each to the same API server; calls by verb, CPU, memory; then a while of rest, and a restart. The peer applies once
before and once after, as API server and etcd have more to carry the later it is, and as any client does, with the field
validation that is the default; how it does without, as the operator, is told as well.

Two more clients know beforehand what each tenant needs: one makes the Tenant and its three objects (four writes, all that is
there in the end but for statuses), the other writes its status too (five, the least that an operator could do with).

The API server is one of our own (`tests/cluster`, etcd and kube-apiserver, no controllers), so that nothing else writes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.processes import free_port
from load.report import Report
from tenant_api.kubernetes_names import GROUP
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_operator.apiserver.access import Access
from tenant_operator.apiserver.client import ApiClient
from tenant_operator.apiserver.resources import CLAIM, DEPLOYMENT, SECRET, TEMPLATE, TENANT, Json, Resource
from tenant_operator.objects.claim import build_claim
from tenant_operator.objects.deployment import asleep_at_birth, build_deployment
from tenant_operator.objects.secret import GatewayDoor, build_secret

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from cluster.layout import Layout, Level  # noqa: E402
from cluster.progress import Progress  # noqa: E402
from cluster.scratch import ScratchCluster  # noqa: E402

IMAGE = "localhost/gateway:benchmark"
AT_ONCE = 32
"""Calls under way at once, of the peer and of whoever creates the Tenants: as many as the operator has."""
GIVE_UP = 600.0
"""Seconds until tenants that are not provisioned end the run."""
LOOK = 0.5
"""Seconds between two looks at the metrics: making them costs the operator 10 ms."""
SELDOM = 2.0
"""The same while it provisions: when it is done it says itself."""
QUIET = 2.0
"""Seconds without a reconcile: the operator is at rest."""
SPEC = {
    "version": "1",
    "image": IMAGE,
    "volume": {"size": "1Gi"},
    "config": '{agents: {defaults: {model: "acme/large"}}, ui: {assistant: {name: "{{ tenant.userId }}"}}}',
    "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
}


TEMPLATE_MODEL = TenantTemplate.model_validate({"metadata": {"name": "standard"}, "spec": SPEC})
DOOR = GatewayDoor(b"k" * 32, ("10.0.0.0/8",))


def tenant_body(number: int) -> Json:
    """Return one Tenant."""
    spec = {
        "userId": f"user-{number}",
        "templateRef": {"name": "standard"},
        "tokens": [{"name": "phone", "sha256": secrets.token_hex(32)}],
    }
    return {"metadata": {"name": f"t{number:05}"}, "spec": spec}


async def seconds_for(jobs: Iterator[Coroutine[Any, Any, object]]) -> float:
    """Do all jobs, some at once; return the seconds that took. A job is made when its turn comes."""
    began = time.monotonic()

    async def work() -> None:
        for job in jobs:
            await job

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return time.monotonic() - began


@dataclass
class Stage:
    """An API server and clients of it: as the operator calls it, and as any client does."""

    api: ApiClient
    plain: ApiClient
    kubeconfig: Path
    kubectl: Any

    def namespace(self, name: str) -> None:
        """Make a namespace."""
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def provisioned(self, namespace: str) -> int:
        """Return how many tenants say that they are provisioned."""
        count = 0
        async for page in self.api.pages(TENANT, namespace):
            for body in page.items:
                conditions = (body.get("status") or {}).get("conditions") or []
                count += any(one["type"] == "Provisioned" and one["status"] == "True" for one in conditions)
        return count


@dataclass
class OperatorProcess:
    """`python -m tenant_operator`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def metrics(self) -> dict[str, float]:
        """Return its counters by name with labels; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def calls(self) -> dict[str, float]:
        """Return the calls of the API server by verb, without the Lease's."""
        found: dict[str, float] = {}
        for name, value in self.metrics().items():
            if name.startswith("openclaw_tenancy_operator_api_calls_total") and "leases" not in name:
                verb = name.partition('verb="')[2].partition('"')[0]
                found[verb] = found.get(verb, 0.0) + value
        return found

    def reconciles(self) -> float:
        """Return how many tenants were reconciled."""
        prefix = 'openclaw_tenancy_operator_reconciles_total{kind="tenant"'
        return sum(value for name, value in self.metrics().items() if name.startswith(prefix))

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss(self) -> float:
        """MiB of memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def operator(stage: Stage, namespace: str, tmp: Path) -> Iterator[OperatorProcess]:
    """Run an operator for a namespace."""
    key, port, log = tmp / "master-key", free_port(), tmp / f"operator-{time.monotonic_ns()}.log"
    key.write_bytes(b"k" * 32)
    environ = {
        **os.environ,
        "KUBECONFIG": str(stage.kubeconfig),
        "OPENCLAW_TENANCY_NAMESPACES": namespace,
        "OPENCLAW_TENANCY_MASTER_KEY_FILE": str(key),
        "OPENCLAW_TENANCY_HEALTH": f"127.0.0.1:{port}",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tenant_operator"], env=environ, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield OperatorProcess(process, port, log)
    except BaseException:
        print(log.read_text()[-4000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(30)


async def leading(running: OperatorProcess) -> None:
    """Wait until an operator leads and has nothing to do."""
    async with asyncio.timeout(GIVE_UP):
        while running.metrics().get("openclaw_tenancy_operator_leading") != 1.0:
            await asyncio.sleep(LOOK)


async def at_rest(running: OperatorProcess, tenants: int, look: float = LOOK) -> float:
    """Wait until every tenant was reconciled and nothing more is; return when that was (monotonic)."""
    last, since = -1.0, time.monotonic()
    async with asyncio.timeout(GIVE_UP):
        while True:
            done = running.reconciles()
            if done != last:
                last, since = done, time.monotonic()
            elif done >= tenants and time.monotonic() - since > QUIET:
                return since
            await asyncio.sleep(look)


def children(namespace: str, body: Json) -> list[tuple[Resource, str, Json]]:
    """Return what the operator makes for a Tenant."""
    metadata = {**body["metadata"], "uid": "00000000-0000-0000-0000-000000000000", "namespace": namespace}
    tenant = Tenant.model_validate({"metadata": metadata, "spec": body["spec"]})
    return [
        (SECRET, namespace, build_secret(tenant, TEMPLATE_MODEL, DOOR)),
        (CLAIM, namespace, build_claim(tenant, TEMPLATE_MODEL)),
        (DEPLOYMENT, namespace, asleep_at_birth(build_deployment(tenant, TEMPLATE_MODEL, IMAGE))),
    ]


async def peer_round(stage: Stage, api: ApiClient, kind: str, bodies: list[Json]) -> float:
    """Apply what the operator would in a fresh namespace, built beforehand; return the seconds."""
    namespace = f"{kind}-{secrets.token_hex(3)}"
    stage.namespace(namespace)
    calls = [call for body in bodies for call in children(namespace, body)]
    return await seconds_for(api.apply(*call) for call in calls)


async def whole_round(stage: Stage, namespace: str, bodies: list[Json], status: Json | None) -> float:
    """Make the Tenants, what the operator would apply for them, and their status if one is given; return the seconds."""

    async def make(body: Json, calls: list[tuple[Resource, str, Json]]) -> None:
        await stage.api.create(TENANT, namespace, body)
        await asyncio.gather(*(stage.api.apply(*call) for call in calls))
        if status is not None:
            named = {"metadata": {"name": body["metadata"]["name"]}, "status": status}
            await stage.api.apply(TENANT, namespace, named, subresource="status")

    built = [(body, children(namespace, body)) for body in bodies]
    return await seconds_for(make(*one) for one in built)


async def run(stage: Stage, report: Report, options: argparse.Namespace, tmp: Path) -> None:
    """Measure once."""
    count = options.tenants
    mine, four, five = (f"{kind}-{secrets.token_hex(3)}" for kind in ("mine", "four", "five"))
    for namespace in (mine, four, five):
        stage.namespace(namespace)
    bodies = [tenant_body(number) for number in range(count)]
    peer_before = await peer_round(stage, stage.plain, "before", bodies)
    await stage.api.create(TEMPLATE, mine, {"metadata": {"name": "standard"}, "spec": SPEC})
    with operator(stage, mine, tmp) as running:
        await leading(running)
        idle_cpu, idle_calls = running.cpu, running.calls()
        report.note("operator_empty_rss_mib", running.rss)
        began = time.monotonic()
        creating = await seconds_for(stage.api.create(TENANT, mine, body) for body in bodies)
        await at_rest(running, count, SELDOM)
        seen = await stage.provisioned(mine)
        if seen != count:
            raise SystemExit(f"{seen} of {count} tenants are provisioned:\n{running.log.read_text()[-4000:]}")
        last = await last_provisioned(running, began)
        report.note("create_seconds", creating)
        report.note("operator_cpu_ms_per_tenant", (running.cpu - idle_cpu) * 1000 / count)
        report.note("operator_rss_mib", running.rss)
        calls = running.calls()
        for verb in sorted(calls):
            report.note(f"calls_{verb}_per_tenant", (calls[verb] - idle_calls.get(verb, 0.0)) / count)
        report.note("reconciles_per_tenant", running.reconciles() / count)
        await asyncio.sleep(QUIET + 6)  # the template counts its tenants
        before, cpu = running.calls(), running.cpu
        await asyncio.sleep(options.rest)
        report.note("rest_seconds", options.rest)
        report.note("rest_writes", written(running.calls()) - written(before))
        report.note("rest_cpu_percent", (running.cpu - cpu) * 100 / options.rest)
    began = time.monotonic()
    with operator(stage, mine, tmp) as running:
        await leading(running)
        report.note("restart_seconds_to_quiet", await at_rest(running, count) - began)
        report.note("restart_writes", written(running.calls()))
        report.note("restart_cpu_seconds", running.cpu)
        report.note("restart_rss_mib", running.rss)
    peer = (peer_before + await peer_round(stage, stage.plain, "after", bodies)) / 2
    report.compare("provision_seconds", "provision", last, peer)
    unvalidated = await peer_round(stage, stage.api, "unvalidated", bodies)
    report.note("apply_only_unvalidated_seconds", unvalidated)
    report.note("provision_vs_apply_only_unvalidated", last / unvalidated)
    status = (await stage.api.get(TENANT, mine, bodies[0]["metadata"]["name"]))["status"]
    for name, namespace, said in (("four", four, None), ("five", five, status)):
        seconds = await whole_round(stage, namespace, bodies, said)
        report.note(f"{name}_writes_seconds", seconds)
        report.note(f"{name}_writes_vs_apply_only", seconds / peer)
        report.note(f"provision_vs_{name}_writes", last / seconds)


async def last_provisioned(running: OperatorProcess, began: float) -> float:
    """Return the seconds from the first Tenant's creation until the last write of a tenant's status."""
    stamp = running.metrics().get("openclaw_tenancy_operator_last_status_timestamp_seconds", 0.0)
    return stamp - (time.time() - (time.monotonic() - began))


def written(calls: dict[str, float]) -> float:
    """Return the writes among calls."""
    return sum(calls.get(verb, 0.0) for verb in ("apply", "patch", "create", "update", "delete"))


def ignore(verb: str, plural: str) -> None:
    """Count no calls."""


async def main(options: argparse.Namespace) -> None:
    """Start an API server, measure, stop it."""
    cluster = ScratchCluster(
        Layout.default(), f"benchmark-{os.getpid()}", Progress(lambda text: print(f"  {text}", file=sys.stderr))
    )
    report = Report("apply_only")
    try:
        cluster.up(Level.APISERVER, controllers=False)
        for plural in ("tenants", "tenanttemplates"):
            cluster.kubectl("apply", "--server-side", "-f", str(REPOSITORY / "crds" / f"{plural}.yaml"))
            cluster.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{GROUP}", "--timeout=30s")
        os.environ["KUBECONFIG"] = str(cluster.instance.kubeconfig)
        operators, plain = ApiClient(Access(), ignore), ApiClient(Access(), ignore, "Warn")
        stage = Stage(operators, plain, cluster.instance.kubeconfig, cluster.kubectl)
        try:
            with tempfile.TemporaryDirectory() as tmp:
                for _ in range(options.rounds):
                    await run(stage, report, options, Path(tmp))
        finally:
            await operators.close()
            await plain.close()
    finally:
        cluster.down(wipe=True)
    report.finish(options.json)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000, help="created at once (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="each on new namespaces (%(default)s)")
    parser.add_argument("--rest", type=float, default=60.0, help="seconds of rest (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    asyncio.run(main(parser.parse_args()))
