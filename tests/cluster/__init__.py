"""Kubernetes clusters for tests: one that is there, one by kind, or one built from nothing on this machine.

`python -m cluster up` starts one, `fixtures.py` hands one to pytest; README.md tells the rest.
"""
