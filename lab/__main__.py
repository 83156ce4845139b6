"""`python -m lab doctor [--port 8888]`"""

from __future__ import annotations

import sys

from lab.doctor import PORT, examine

words = sys.argv[1:]
if words[:1] != ["doctor"] or (words[1:] and not (len(words) == 3 and words[1] == "--port" and words[2].isdigit())):
    print(f"usage: python -m lab doctor [--port {PORT}]", file=sys.stderr)
    sys.exit(2)
sys.exit(0 if examine(int(words[2]) if words[1:] else PORT) else 1)
