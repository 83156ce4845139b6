"""Ratios against peers, measured side by side in one run. Each module writes its own section of RESULTS.md."""
