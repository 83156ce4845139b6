"""`python -m lab doctor`"""

import sys

from lab.doctor import examine

if sys.argv[1:] != ["doctor"]:
    sys.exit("usage: python -m lab doctor")
sys.exit(0 if examine() else 1)
