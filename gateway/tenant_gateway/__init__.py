"""The native runtime: a small OpenClaw gateway in Python that serves one tenant."""
