"""Config rendering: template text ⊕ tenant overlay ⊕ the gateway settings that are ours."""

from tenant_api.config.errors import ConfigError
from tenant_api.config.gateway_settings import ROUTER_HEADER, USER_HEADER, GatewaySettings

__all__ = ["ROUTER_HEADER", "USER_HEADER", "ConfigError", "GatewaySettings"]
