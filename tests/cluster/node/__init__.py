"""Level `node`: a private node on this machine: namespaces, network, container runtime, kubelet, volumes."""
