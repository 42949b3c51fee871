"""The local fleet: tenants of one machine as files, directories and confined child processes."""
