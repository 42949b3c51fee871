"""The command openclaw-tenancy: composes router, local fleet and gateways on one machine."""
