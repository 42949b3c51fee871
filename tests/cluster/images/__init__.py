"""Images without a registry: a base from Debian's packages, ours from Dockerfiles by buildah, loaded into the node."""
