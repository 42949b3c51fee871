"""What a gateway, and all that its agent starts, may see and do.

The modules `kernel`, `landlock`, `seccomp`, `namespaces` and `privileges` run in the gateway's own process, between its
start and its first instruction of the runtime. Every millisecond there is one of the wake, so they import next to
nothing (no enum, dataclasses, typing, socket) and speak to the kernel through ctypes. The published Landlock bindings
do the same three system calls but cost 32-38 ms to import, which is twice what all of this costs.
"""
