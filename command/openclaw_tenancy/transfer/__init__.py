"""Sessions and workspaces that move: from upstream's state directory into a tenant, and out of it as JSONL."""
