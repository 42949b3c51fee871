"""Runs of the agent: the queue of each session, the loop of model and tools, the prompt."""
