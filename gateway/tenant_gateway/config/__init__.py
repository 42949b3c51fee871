"""The configuration file: read, checked, watched, edited."""
