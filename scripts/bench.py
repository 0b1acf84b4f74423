"""The benchmarks, by one command.

    python scripts/bench.py                        `step`: the lab against other loops, one table
    python scripts/bench.py --quick                tries it: a minute
    python scripts/bench.py step replicas data     parts, one after another
    python scripts/bench.py scaling --help         the options of a part; they follow its name

Parts: PARTS. Each begins with a text that says what is measured and what was found not to help.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

OTHERS = {"tools", "textbook"}
PARTS = sorted(
    name
    for path in Path(__file__).parent.glob("bench_*.py")
    if (name := path.stem.removeprefix("bench_")) not in OTHERS
)


def main(words: Sequence[str]) -> int:
    """Exit status 2 for a part that there is not."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    parts, options = words[:first] or ["step"], words[first:]
    if options[:1] in (["-h"], ["--help"]) and not words[:first]:
        print(__doc__.replace("PARTS", ", ".join(PARTS)))
        return 0
    for part in parts:
        if part not in PARTS:
            print(f"{part}: no such part; choose from {', '.join(PARTS)}", file=sys.stderr)
            return 2
    if options and len(parts) > 1:
        print(f"{options[0]}: give options to one part alone", file=sys.stderr)
        return 2
    for part in parts:
        if len(parts) > 1:
            print(f"\n{part}", flush=True)
        importlib.import_module(f"bench_{part}").main(options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
