"""Shell completion: Hydra's for overrides, ours for commands, figures and groups.

Hydra's scripts call the program without its sub-command and read the line from `COMP_LINE`; it is
handed on without the sub-command. While a shell asks, nothing is said on stderr: it would land in
the middle of the line that is being typed.
"""

import contextlib
import io
import os
import sys

from gp_lab.errors import BadInput, Exit, LabError, bad_choice
from gp_lab.launching.config_groups import (
    EXPERIMENT,
    choices,
    figure_ids,
    groups,
    other_names,
    plural,
)

SHELLS = ("bash", "zsh", "fish")
FLAGS = ("--multirun", "--cfg", "--resolve", "--info", "--config-dir", "--help", "--hydra-help")
SAMPLE_FLAGS = ("-n", "--kind", "--seed", "--step", "--points", "--out")
KINDS = ("samples", "interpolation", "classes")


def complete(arguments: list[str], commands: list[str]) -> Exit:
    """`gp-lab -sc install=SHELL`, `uninstall=SHELL` or `query=SHELL`; prints to stdout.

    A query reads `COMP_LINE`, up to `COMP_POINT` if that is set. Raises `BadInput`.
    """
    what, _, shell = arguments[1].partition("=") if len(arguments) == 2 else ("", "", "")
    if what not in ("install", "uninstall", "query"):
        raise BadInput(f"{' '.join(arguments)}: write gp-lab -sc install=SHELL or uninstall=SHELL")
    if shell not in SHELLS:
        raise bad_choice(what, shell, SHELLS)
    if what != "query":
        _hydra(arguments[1])
        return Exit.OK
    if "COMP_LINE" not in os.environ:
        raise BadInput("query: COMP_LINE is not set; shells set it when they ask for completions")
    line = os.environ["COMP_LINE"]
    # In characters, as zsh counts; bash counts bytes, which is the same for what is typed here.
    found = _words(line[: int(os.environ.get("COMP_POINT") or len(line))], commands)
    print("\n".join(found) if shell == "fish" else " ".join(found))
    return Exit.OK


def _words(line: str, commands: list[str]) -> list[str]:
    """What the last word of the line, which may be empty, can become."""
    _program, *words = (line + "|").split()
    *before, last = words or [""]
    last = last[:-1]
    if not before:
        return _starting(last, commands)
    command, *before = before
    if command == "figure" and not before:
        known = figure_ids()
        return _starting(last, [*known, *(other for name in known for other in other_names(name))])
    if command == "list" and not before:
        return _starting(last, map(plural, [EXPERIMENT, *groups()]))
    if command == "clean":
        return _starting(last, ["--yes"]) if last.startswith("-") else []
    if command == "sample" and before and before[-1] == "--kind":
        return _starting(last, KINDS)
    if command == "sample":
        return _starting(last, SAMPLE_FLAGS) if last.startswith("-") else []
    if command == "resume" and before:
        return _starting(last, ["steps="])
    if command not in ("train", "figure"):
        return []  # the shell offers files
    if last.startswith("-"):
        return _starting(last, FLAGS if command == "train" else ["--cfg"])
    overrides = [word for word in before if "=" in word or word.startswith("~")]
    return _overrides(overrides, last)


def _starting(start: str, words: "list[str] | tuple[str, ...] | map[str]") -> list[str]:
    return sorted(word for word in words if word.startswith(start))


def _overrides(before: list[str], last: str) -> list[str]:
    """Hydra's completions of an override, after others (sweeps are read as sweeps)."""
    # Hydra takes the program's name off the line, and -m lets it read comma-separated values.
    os.environ["COMP_LINE"] = " ".join(["gp-lab", "-m", *before, last])
    told = io.StringIO()
    silence = contextlib.redirect_stderr(io.StringIO())
    with silence, contextlib.redirect_stdout(told), contextlib.suppress(LabError, SystemExit):
        _hydra("query=bash")
    found = [word.partition("=") for word in told.getvalue().split()]
    # Hydra's own launchers and sweeper cannot run the lab's jobs; files with _ are no choices.
    return [
        key + equals + value
        for key, equals, value in found
        if not (key.startswith("hydra/") and value and value not in choices(key))
        and value[:1] != "_"
    ]


def _hydra(what: str) -> None:
    from gp_lab.launching.compose import CONFIG_NAME, hydra_session

    program, sys.argv[0] = sys.argv[0], "gp-lab"  # the scripts are for it, even under python -m
    try:
        with hydra_session() as hydra:
            hydra.shell_completion(CONFIG_NAME, [what])
    finally:
        sys.argv[0] = program
