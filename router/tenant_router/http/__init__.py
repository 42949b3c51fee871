"""Plain HTTP on the router's port: the tenants' HTTP API by Bearer token, health, and the Control UI's static files."""
