"""How the help of every command looks: what it does, its arguments, and examples that work."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = "examples:"


def examples(*commands: str) -> dict[str, Any]:
    """Arguments of a parser whose help ends with these commands, given without ``ensemble``."""
    lines = "\n".join(f"  ensemble {command}" for command in commands)
    return {"epilog": f"{EXAMPLES}\n{lines}", "formatter_class": HelpFormatter}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions are filled as usual, the examples below are left as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)
