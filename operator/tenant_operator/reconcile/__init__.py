"""Makes the cluster as the resources say: one key at a time, from the cache, whatever has happened before."""
