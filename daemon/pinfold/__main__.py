"""``python -m pinfold``."""

import sys

from pinfold.cli.main import main

sys.exit(main())
