"""`python -m tenant_gateway`: serve one tenant."""

import sys

from tenant_gateway.lean import import_lean

if __name__ == "__main__":
    import_lean()
    from tenant_gateway.process import main

    sys.exit(main())
