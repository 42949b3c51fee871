"""Volumes for tests that can be cloned: a CSI driver over a reflink file system."""
