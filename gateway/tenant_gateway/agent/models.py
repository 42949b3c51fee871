"""Which model a run uses: `models.providers`, `agents.defaults.model`, the override of a session."""

from typing import Any, Final

import msgspec

from tenant_gateway.config.document import Config

DEFAULT_CONTEXT_WINDOW: Final = 200_000
DEFAULT_MAX_TOKENS: Final = 8_192

OPENAI_COMPLETIONS: Final = "openai-completions"
ANTHROPIC_MESSAGES: Final = "anthropic-messages"
SUPPORTED_APIS: Final = (OPENAI_COMPLETIONS, ANTHROPIC_MESSAGES)


class UnknownModel(Exception):
    """A model reference that names no configured provider or model."""


class Model(msgspec.Struct, frozen=True):
    """A model of a provider, with what a request to it needs."""

    provider: str
    id: str
    name: str
    api: str
    base_url: str
    api_key: str
    headers: dict[str, str]
    auth_header: bool
    context_window: int
    max_tokens: int
    reasoning: bool
    inputs: tuple[str, ...]
    cost: dict[str, float]
    timeout: float

    @property
    def ref(self) -> str:
        """`provider/model`, as the configuration names it."""
        return f"{self.provider}/{self.id}"


def primary_model(config: Config) -> Model | None:
    """Return the model of `agents.defaults.model`, else the first that is configured; None when there is none."""
    try:
        return find_model(config, primary_ref(config))
    except UnknownModel:
        models = all_models(config)
        return models[0] if models else None


def primary_ref(config: Config) -> str:
    """Return `agents.defaults.model`, a string or `{primary}`."""
    value = config.get("agents.defaults.model")
    if isinstance(value, dict):
        value = value.get("primary")
    return value if isinstance(value, str) else ""


def fallback_refs(config: Config) -> tuple[str, ...]:
    """Return `agents.defaults.model.fallbacks`: tried in order when the primary model fails."""
    return config.texts("agents.defaults.model.fallbacks")


def candidates(config: Config, override: str | None) -> list[Model]:
    """Return the models a run tries, in order. An override by the user has no fallbacks, as upstream has it.

    Raises:
        UnknownModel: the override, or the primary model, is not configured.
    """
    if override:
        return [find_model(config, override)]
    first = primary_model(config)
    if first is None:
        raise UnknownModel("no model is configured (models.providers, agents.defaults.model)")
    found = [first]
    for ref in fallback_refs(config):
        try:
            model = find_model(config, ref)
        except UnknownModel:
            continue
        if model not in found:
            found.append(model)
    return found


def find_model(config: Config, ref: str) -> Model:
    """Return the model of a `provider/model` reference, an alias of `agents.defaults.models`, or a bare model id.

    Raises:
        UnknownModel: see the class.
    """
    ref = _resolve_alias(config, ref.strip())
    provider, slash, model_id = ref.partition("/")
    providers = config.table("models.providers")
    if slash and provider in providers:
        for entry in providers[provider].get("models", []):
            if entry["id"] == model_id:
                return _model(provider, providers[provider], entry)
        raise UnknownModel(f"unknown model: {ref}")
    matches = [model for model in all_models(config) if model.id == ref]
    if len(matches) != 1:
        raise UnknownModel(f"unknown model: {ref}" if ref else "no model is configured")
    return matches[0]


def _resolve_alias(config: Config, ref: str) -> str:
    for target, options in config.table("agents.defaults.models").items():
        if isinstance(options, dict) and str(options.get("alias", "")).lower() == ref.lower():
            return str(target)
    return ref


def all_models(config: Config) -> list[Model]:
    """Return every configured model, in the order of the file."""
    return [
        _model(name, provider, entry)
        for name, provider in config.table("models.providers").items()
        for entry in provider.get("models", [])
    ]


def context_tokens(config: Config, model: Model | None) -> int | None:
    """Return the context window that runs keep to: the model's, or `agents.defaults.contextTokens` when that is less."""
    if model is None:
        return None
    return min(model.context_window, config.number("agents.defaults.contextTokens", model.context_window))


def _model(name: str, provider: dict[str, Any], entry: dict[str, Any]) -> Model:
    headers = {**_texts(provider.get("headers")), **_texts(entry.get("headers"))}
    inputs = entry.get("input")
    return Model(
        provider=name,
        id=str(entry["id"]),
        name=str(entry.get("name") or entry["id"]),
        api=str(entry.get("api") or provider.get("api") or OPENAI_COMPLETIONS),
        base_url=str(provider.get("baseUrl", "")).rstrip("/"),
        api_key=_secret(provider.get("apiKey")),
        headers=headers,
        auth_header=bool(provider.get("authHeader", False)),
        context_window=_positive(entry.get("contextWindow"), DEFAULT_CONTEXT_WINDOW),
        max_tokens=_positive(entry.get("maxTokens"), DEFAULT_MAX_TOKENS),
        reasoning=bool(entry.get("reasoning", False)),
        inputs=tuple(inputs) if isinstance(inputs, list) else ("text",),
        cost={key: float(value) for key, value in (entry.get("cost") or {}).items() if isinstance(value, int | float)},
        timeout=float(_positive(provider.get("timeoutSeconds"), 120)),
    )


def _texts(value: Any) -> dict[str, str]:
    return {str(key): item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}


def _secret(value: Any) -> str:
    """A key in clear, or upstream's `{source: "env", id: NAME}`."""
    if isinstance(value, dict) and value.get("source") == "env":
        import os

        return os.environ.get(str(value.get("id", "")), "")
    return value if isinstance(value, str) else ""


def _positive(value: Any, default: int) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else default
