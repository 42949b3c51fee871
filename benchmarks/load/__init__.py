"""The load: a C backend that acts as a gateway, a C client that acts as many clients, and how they are built and run."""
