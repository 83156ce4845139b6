"""`python -m benchmarks` runs every benchmark, `python -m benchmarks load_against_wrk` one of them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ALL = ["caching", "load_against_wrk", "serve_cycles"]

if unknown := set(sys.argv[1:]) - set(ALL):
    sys.exit(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(ALL)}")
names = sys.argv[1:] or ALL
missed = [name for name in names if subprocess.call([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT)]
if missed:
    sys.exit(f"bounds missed: {', '.join(missed)}")
