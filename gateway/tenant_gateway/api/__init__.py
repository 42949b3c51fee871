"""The HTTP interfaces: OpenAI chat completions and responses, tools."""
