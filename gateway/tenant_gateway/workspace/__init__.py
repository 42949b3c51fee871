"""The agent's files: where they are, how they are seeded, how nothing else is reached."""
