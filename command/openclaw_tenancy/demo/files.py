"""The demo's Tenant and TenantTemplate files, as a person would write them for a machine of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

IDLE = "4s"
"""Much shorter than anybody would have it, so that the demo shows tenants falling asleep."""

_TEMPLATE = """\
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: TenantTemplate
metadata:
  name: {name}
spec:
  version: "1"
  runtime: {runtime}
  idle:
    timeout: {idle}
  config: |
    {{
      models: {{
        mode: "replace",
        providers: {{
          local: {{
            baseUrl: "{llm}",
            apiKey: "${{LLM_KEY}}",   // from the tenant's own secret
            api: "openai-completions",
            models: [{{
              id: "fake-model", name: "Fake", reasoning: false, input: ["text"],
              cost: {{ input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }},
              contextWindow: 128000, maxTokens: 4096,
            }}],
          }},
        }},
      }},
      agents: {{ defaults: {{ model: {{ primary: "local/fake-model" }}, heartbeat: {{ every: "0m" }} }} }},
    }}
  protected: [models.providers]
"""

_TENANT = """\
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: Tenant
metadata:
  name: {name}
spec:
  userId: "{user}"
  templateRef:
    name: {template}
  credentials:
    secretRef:
      name: {name}-keys
---
apiVersion: v1
kind: Secret
metadata:
  name: {name}-keys
stringData:
  LLM_KEY: {key}
"""


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """One of the two."""

    name: str
    runtime: str
    key: str
    """The key that only this tenant's gateway has for the language model."""


def write_files(directory: Path, tenants: tuple[DemoTenant, ...], llm: str) -> None:
    """Write a template for each runtime, and for each tenant a file that holds its secret too."""
    directory.mkdir(parents=True)
    for runtime in {tenant.runtime for tenant in tenants}:
        text = _TEMPLATE.format(name=f"on-{runtime}", runtime=runtime, idle=IDLE, llm=llm)
        (directory / f"template-{runtime}.yaml").write_text(text)
    for number, tenant in enumerate(tenants, 1):
        path = directory / f"{tenant.name}.yaml"
        path.touch(mode=0o600)
        path.write_text(_TENANT.format(name=tenant.name, user=number, template=f"on-{tenant.runtime}", key=tenant.key))
