"""The router's admin port: health, metrics and activity, for operators and probes, never for clients."""
