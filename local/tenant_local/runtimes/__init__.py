"""How gateways of each runtime are had and started on one machine."""
