"""Enforces the NetworkPolicies (networking.k8s.io/v1) of the node with one nftables table, `inet netpol`.

`ruleset.py` turns objects into rules and does nothing else; `enforcer.py` follows Pods, Namespaces and NetworkPolicies
and replaces the table in one transaction whenever the outcome changes: a packet meets the old rules or the new ones,
never a part of either. Pods hang on one bridge, with net.bridge.bridge-nf-call-iptables = 1.

What holds

- Peers (podSelector, namespaceSelector, both, ipBlock with except), ports (numbers, endPort, names looked up in each
  destination pod), TCP, UDP and SCTP, policyTypes and their default, empty `from`, `to` and `ports`, as the API
  documents them.
- A pod that some policy selects in a direction may do in it what one of these policies allows, and nothing else.
  Between two pods the sender's egress and the receiver's ingress must both allow. Pods with hostNetwork are part of
  the node: never selected.
- Rules see addresses after kube-proxy's DNAT: the pod behind a Service, and the node's address for the API server.
  Egress counts towards the node itself too. What the node sends to pods (the kubelet's probes), and a pod to itself,
  always passes.
- Replies pass. The packets of the side that opened a connection are judged one by one, so a new policy also cuts
  connections that were open before.
- Closed until known: while any policy is in force in a direction, what enters or leaves the bridge for an address
  that no running pod is known to hold is dropped in this direction. A new pod is never open; it is cut off until the
  kubelet has reported its address (4-280 ms), in namespaces without policies also.

What does not hold: addresses are trusted (a pod with NET_RAW can forge a neighbour's); IPv4 only; an ipBlock that
names a Service's cluster IP matches nothing, because rules see what is behind it.
"""
