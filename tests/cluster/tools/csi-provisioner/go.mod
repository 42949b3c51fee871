module openclaw-tenancy.dev/tests/cluster/csi-provisioner

go 1.26.0

require github.com/kubernetes-csi/external-provisioner/v6 v6.4.0
