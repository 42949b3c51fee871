"""Waking tenants: one wake however many wait, admission in fair order, and how long each kind of client can be held."""
