"""What the operator knows of the cluster: trimmed records of the objects that concern it, kept up to date by watches."""
