"""Puts a gateway to sleep in conversation with it: fence, prepare, park, or open again."""
