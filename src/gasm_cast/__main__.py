"""`python -m gasm_cast` is `gasm-cast`."""

import sys

from gasm_cast.cli import main

if __name__ == "__main__":
    sys.exit(main())
