# A Kubernetes for tests. CLUSTER=existing uses KUBECONFIG, kind needs Docker, scratch (root, Linux) starts its own.
# Unset: a scratch one that was brought up by hand, else kind where Docker answers, else scratch (tests/cluster/providers.py).
ifdef CLUSTER
export CLUSTER
endif
CLUSTER_COMMAND := PYTHONPATH=tests $(BIN)/python -m cluster

.PHONY: cluster-up cluster-down cluster-status cluster-images api-test e2e

cluster-up: setup ## a Kubernetes with a node, for `make e2e`; CLUSTER=existing|kind|scratch (first time 16 minutes, then 20 s)
	@$(CLUSTER_COMMAND) up
	@echo 'Now: eval "$$($(if $(CLUSTER),CLUSTER=$(CLUSTER) )$(CLUSTER_COMMAND) env)"'

cluster-down: setup ## stop it, its data stays (kind: delete it); ARGS=--wipe forgets that too
	@$(CLUSTER_COMMAND) down $(ARGS)

cluster-status: setup ## what of it runs
	@$(CLUSTER_COMMAND) status

cluster-images: setup ## build our images and have them in it; ARGS='router gateway' for some
	@$(CLUSTER_COMMAND) images $(ARGS)

e2e: setup runtime ## the tests that need pods, wherever they lie: the cluster itself, then the product on it
	$(BIN)/pytest -m 'cluster and node' $(ARGS)

api-test: setup ## the tests that need a real API server but no node
	$(BIN)/pytest -m 'cluster and not node' $(ARGS)
