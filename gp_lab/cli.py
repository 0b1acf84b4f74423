"""The commands: train, resume, sample, figure and others. Each imports only what it needs."""

import argparse
import gc
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gp_lab.errors import BadInput, Exit, LabError, bad_choice, counted, printable
from gp_lab.files import path_of
from gp_lab.launching.program import exit_status, one_word, outputs_of, parsed
from gp_lab.terminal import aligned, columns, duration, open_standard_streams
from gp_lab.training.process_group import quiet, several

if TYPE_CHECKING:
    from gp_lab.figures.plan import Plan
    from gp_lab.runs.folder import RunFolder
    from gp_lab.runs.identity import Config
    from gp_lab.runs.result import RunResult

MOST, LAST_SEED = 10**8, 2**63 - 1
"""Of samples; of the seeds of a run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Problems that a user can mend are one sentence."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    together = bool(arguments) and arguments[0] in TRAIN
    return exit_status(lambda: _command(arguments), _only_shows(arguments), together)


def _only_shows(arguments: Sequence[str]) -> bool:
    """Whether what a command prints is all that it is for."""
    acts = {"train", "resume", "sample", "evaluate", "figure", "figures", "report"}
    flags = {"--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help", "--version"}
    words = {word.partition("=")[0] for word in arguments}
    return not arguments or arguments[0] not in acts or not flags.isdisjoint(words)


def _command(arguments: list[str]) -> Exit:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        from gp_lab.launching.usage import USAGE

        print(USAGE, end="")
        return Exit.OK
    if arguments[0] == "--version":
        print(f"gp-lab {version('gp-lab')}")
        return Exit.OK
    if arguments[0] in ("-sc", "--shell-completion"):
        from gp_lab.launching.completion import complete

        return complete(arguments, list(COMMANDS))
    name, *rest = arguments
    if name not in COMMANDS:
        raise bad_choice("command", name, COMMANDS)
    if name not in OWN_HELP and not {"-h", "--help"}.isdisjoint(rest):
        from gp_lab.launching.usage import help_of

        print(help_of(name, COMMANDS[name]), end="")
        return Exit.OK
    return COMMANDS[name](rest)


def train(arguments: list[str]) -> Exit:
    """`gp-lab train`: one run, or a sweep with -m."""
    from gp_lab.launching.arguments import parse_arguments
    from gp_lab.launching.asked import is_sweep, one_run, shown
    from gp_lab.launching.compose import hydra_session, sweep_of

    args = parse_arguments(arguments)
    with hydra_session(args.config_dir) as hydra:
        if shown(hydra, args, sweep := is_sweep(hydra, args)):
            return Exit.OK
        if sweep:
            return _swept(sweep_of(hydra, args.overrides).train())
        return _trained(one_run(hydra, args))


def resume(arguments: list[str]) -> Exit:
    """`gp-lab resume RUN [steps=N]`: go on from the last checkpoint, for longer if asked.

    keep_every=N, keep_best=SCORE: which checkpoints are kept from now on.
    """
    from gp_lab.launching.arguments import later, resumed, run_and_words

    usage = (
        "gp-lab resume RUN [steps=N] [keep_every=N] [keep_best=SCORE] [dataset.root=DIR]"
        " [trust=PACKAGE]"
    )
    folder, words = run_and_words(arguments, "resume", usage)
    refusal = f"only steps and what is kept can change when a run is resumed; write {usage}"
    said = later(words, ["steps", "keep_every", "keep_best"], refusal)
    return _trained(resumed(folder, said), folder)


def sample(arguments: list[str]) -> Exit:
    """`gp-lab sample RUN`: what its generator makes; prints the file."""
    usage = (
        "gp-lab sample RUN [-n 64] [--kind samples|interpolation|classes] [dataset.root=DIR]"
        " [trust=PACKAGE]"
    )
    parser = argparse.ArgumentParser("gp-lab sample", description=sample.__doc__)
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run's folder")
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="dataset.root=DIR: where the run's data lie now; trust=PACKAGE: one of your own",
    )
    parser.add_argument("-n", help="samples; lines; samples of each class")
    parser.add_argument("--kind", default="samples", help="samples, interpolation or classes")
    parser.add_argument("--seed", default="0", help="of the latents")
    parser.add_argument("--step", default="last", help="of the checkpoint, or best, or last")
    parser.add_argument("--points", default="65", help="of an interpolation's line")
    parser.add_argument("--out", help="the file; left out, one in RUN/samples")

    from gp_lab.launching.arguments import checkpoint_step, later, run_and_words
    from gp_lab.overrides import number_behind, value_of

    args = parsed(parser, arguments, usage)
    folder, _ = run_and_words([args.run] if args.run else [], "sample", usage)
    said = later(args.overrides, [], f"nothing but the data's place can change; write {usage}")
    n = None if args.n is None else number_behind("-n", args.n, 1, MOST)
    seed = number_behind("--seed", args.seed, 0, LAST_SEED)
    step = checkpoint_step(f"--step {args.step}", value_of(args.step))
    points = number_behind("--points", args.points, 1, MOST)
    out = None if args.out is None else path_of(args.out)

    from gp_lab.training.load import load
    from gp_lab.training.sampling import write_samples

    run = load(folder.path, step, said.trust, data=said.data)
    print(write_samples(run, args.kind, n, seed, points, out))
    return Exit.OK


def evaluate(arguments: list[str]) -> Exit:
    """`gp-lab evaluate RUN|OUTPUTS ... [FILTER ...] [step=N] [probe=NAME] [probe.NAME.key=value]`:
    the scores of runs, later. One that fails does not stop the others; then the exit status is 1.

    step=best: at the checkpoint that keep_best has kept. --follow evaluates each checkpoint of one
    run as it comes, in this process, while another trains the run.
    Filters select among several runs: those of `gp-lab compare --help`.

      gp-lab evaluate outputs/runs/RUN probe=inception step=20000
      gp-lab evaluate outputs dataset=mnist state=finished 'probe=[classifier,neighbours]'
    """
    from gp_lab.launching.evaluating import FOLLOW, asked, evaluate_all

    if FOLLOW in arguments:
        from gp_lab.launching.following import follow

        return follow(asked(arguments))
    return evaluate_all(asked(arguments))


def figure(arguments: list[str]) -> Exit:
    """`gp-lab figure PAPER/ITEM`: run what is missing, draw, test the claims.

    scale=paper|miniature|smoke: at what size; key=value: for all of its runs; --cfg job: the runs
    it would train; --config-dir=DIR: an entry, or parts, of your own.
    """
    from gp_lab.figures.plan import plan_of
    from gp_lab.launching.arguments import figure_arguments

    if not arguments or "=" in arguments[0] or arguments[0].startswith("-"):
        raise BadInput("figure: which one? write gp-lab figure PAPER/ITEM; see gp-lab list figures")
    args = figure_arguments(arguments[1:])
    plan = plan_of(arguments[0], args.overrides, args.config_dir, args.methods)
    if args.cfg:
        print(plan.shown())
        return Exit.OK
    plan.check_extra()
    return _made(plan)


def _made(plan: "Plan") -> Exit:
    """Train what an entry lacks, then draw it; the status of its runs."""
    if (left := plan.minutes_left()) and not quiet():
        print(f"{plan.name}, {plan.scale}: about {duration(left)} on two idle cores")
    if plan.sweep is None:
        if quiet():
            return Exit.OK

        from gp_lab.figures.make import make_calculation

        print(make_calculation(plan))
        return Exit.OK
    results = plan.sweep.train()
    status = _swept(results)
    if quiet():
        return status

    from gp_lab.figures.make import make_figure

    print(make_figure(plan, results))
    return status


def figures(arguments: list[str]) -> Exit:
    """`gp-lab figures [--tour]`: the entries, one after another, then the report and a table.

    Those whose files say `edition: false` are left out: they take more than 12 minutes, some of
    them hours. --tour: those alone whose files say `tour: true`; key=value, --cfg job and
    --config-dir=DIR: as of `gp-lab figure`.
    """
    from gp_lab.figures.plan import plan_of
    from gp_lab.launching.arguments import figure_arguments
    from gp_lab.launching.config_groups import figure_file, figure_ids
    from gp_lab.launching.methods import NO_METHODS

    flags = [word for word in arguments if word == "--tour"]
    args, plans = figure_arguments([word for word in arguments if word not in flags]), []
    own = Path(args.config_dir) if args.config_dir else None
    key, usual = ("tour", False) if flags else ("edition", True)
    names = [name for name in figure_ids(own) if figure_file(name, own).get(key, usual)]
    if not quiet():
        count = counted(len(names), "figure")
        print(f"{count}: all are looked at before the first one starts", file=sys.stderr)
    for name in names:
        try:
            file = figure_file(name, own)
            methods = args.methods if file.get("joins") else NO_METHODS
            words = [w for w in args.overrides if file.get("grid") or not w.startswith("seed=")]
            plans.append(plan := plan_of(name, words, args.config_dir, methods))
            if not args.cfg:
                plan.check()
        except BadInput as error:  # before the first one starts
            raise BadInput(f"{name}: {error}") from error
    if args.cfg:
        print("\n\n".join(plan.shown() for plan in plans))
        return Exit.OK
    worst, began, minutes = Exit.OK, time.monotonic(), dict[tuple[str, str], float]()
    before = set[str]()
    each = [plan.minutes_left(before) for plan in plans]
    for number, plan in enumerate(plans, 1):
        known = [cost for cost in each[number - 1 :] if cost is not None]
        left = f", about {duration(sum(known))} left" if known else ""
        print(f"\n== {number} of {len(plans)}{left}: {plan.name}")
        try:
            worst = max(worst, _made(plan))
        except LabError as error:
            if error.status in (Exit.PREEMPTED, Exit.INTERRUPTED) or several():
                raise  # it was stopped, or ranks have parted
            print(f"gp-lab: {plan.name}: {error}", file=sys.stderr)
            worst = max(worst, Exit.FAILED if error.status else Exit.OK)
        except Exception as error:
            traceback.print_exc()
            print(f"gp-lab: {plan.name} failed: {error}; the others go on", file=sys.stderr)
            worst = max(worst, Exit.FAILED)
        minutes[plan.name, plan.scale] = (time.monotonic() - began) / 60
        began = time.monotonic()
    if quiet():
        return worst

    from gp_lab.figures.sentences import summary_table
    from gp_lab.report.page import write_report

    root = plans[0].out
    print(f"\n{summary_table(root, minutes)}\nreport: {write_report(root).resolve()}")
    return worst


def report(arguments: list[str]) -> Exit:
    """`gp-lab report [OUTPUTS] [--watch] [--port N]`: one self-contained page.

    --watch: it is made again as runs progress, and served to this machine alone, until Ctrl-C; at
    port 8808, or N (0: one that is free).
    """
    usage = "gp-lab report [OUTPUTS] [--watch] [--port N]"
    parser = argparse.ArgumentParser("gp-lab report", add_help=False, allow_abbrev=False)
    parser.add_argument("outputs", nargs="*")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--port")

    args = parsed(parser, arguments, usage)
    root = outputs_of(args.outputs, usage)
    if args.watch:
        from gp_lab.overrides import number_behind
        from gp_lab.report.watch import PORT, watch

        watch(root, PORT if args.port is None else number_behind("--port", args.port, 0, 65535))
    if args.port is not None:
        raise BadInput(f"--port {args.port}: only with --watch is the page served; write {usage}")

    from gp_lab.report.page import write_report

    print(f"report: {write_report(root)}")
    return Exit.OK


def status(arguments: list[str]) -> Exit:
    """`gp-lab status [OUTPUTS] [FILTER ...] [--watch]`: a table of the runs, the newest first;
    --watch: until all have ended.

    Filters: those of `gp-lab compare --help`; state=lost: that say they run, and do not.

      gp-lab status outputs state=running,queued
      gp-lab status penalty=one_gp name~swiss --watch
    """
    from gp_lab.launching.status import asked, print_table

    print_table(asked(arguments))
    return Exit.OK


def compare(arguments: list[str]) -> Exit:
    """`gp-lab compare [OUTPUTS] [METRIC ...]`: a sweep's groups, over their seeds."""
    from gp_lab.launching.comparison import answer, comparison

    print(answer(comparison(arguments, compare.__doc__)), end="")
    return Exit.OK


def list_(arguments: list[str]) -> Exit:
    """`gp-lab list WHAT`: the members of a group, each with its first comment.

    --config-dir=DIR: those of your own among them.
    """
    from gp_lab.launching.arguments import own_configs
    from gp_lab.launching.config_groups import EXPERIMENT, descriptions, groups, plural

    arguments, own = own_configs(arguments)
    names = {plural(group): group for group in sorted([EXPERIMENT, *groups()])}
    what = one_word(arguments, "gp-lab list [GROUP] [--config-dir=DIR]")
    if what is None:
        print("\n".join(names))
        return Exit.OK
    group = names.get(what, what)
    if group not in names.values():
        raise bad_choice("list", what, names)
    print("\n".join(aligned(descriptions(group, Path(own) if own else None), columns())))
    return Exit.OK


def doctor(arguments: list[str]) -> Exit:
    """`gp-lab doctor [OUTPUTS]`: what there is on this machine, and what to do about the rest.

    Versions, GPUs, disk, compiler, Slurm, W&B, optional packages, Inception weights, data sets.
    """
    from gp_lab.launching.doctor import findings

    for found in findings(path_of(one_word(arguments, "gp-lab doctor [OUTPUTS]") or "outputs")):
        print(f"{found.state:7}  {found.what:24}  {found.said}".rstrip(), flush=True)
    return Exit.OK


def clean(arguments: list[str]) -> Exit:
    """`gp-lab clean OUTPUTS [--yes]`: unfinished and diverged runs, and what they take."""
    from gp_lab.runs.cleaning import clean as cleaned

    words = [word for word in arguments if word != "--yes"]
    root = outputs_of(words, "gp-lab clean [OUTPUTS] [--yes]")
    print("\n".join(cleaned(root, deletes="--yes" in arguments)))
    return Exit.OK


def wandb_sync(arguments: list[str]) -> Exit:
    """`gp-lab wandb-sync [OUTPUTS]`: upload the runs that W&B has offline, each once."""
    from gp_lab.tracking.syncing import sync

    for line in sync(outputs_of(arguments, "gp-lab wandb-sync [OUTPUTS]")):
        print(printable(line), flush=True)
    return Exit.OK


def wandb_view(arguments: list[str]) -> Exit:
    """`gp-lab wandb-view [OUTPUTS]`: a workspace on W&B for the runs, and its address; offline,
    what it would be, as `wandb-view.json`.

    Curves by penalty, surfaces by step, scores grouped over seeds. --project, --entity: of the
    workspace. Written again, it takes the place of the one before.
    """
    from gp_lab.launching.workspace import view

    print(view(arguments, wandb_view.__doc__))
    return Exit.OK


def _trained(config: "Config", folder: "RunFolder | None" = None) -> Exit:
    from gp_lab.launching.local import train_one

    result = train_one(config, folder)
    if not quiet() and (scores := result.scores):
        print(scores)
    print(result)
    return result.exit


def _swept(results: "Sequence[RunResult]") -> Exit:
    """How a sweep ended: divergence is data, a failure is not."""
    from gp_lab.runs.result import summary

    print(summary(results))
    failed = [result for result in results if result.exit == Exit.FAILED]
    for result in failed:
        print(f"  {result.folder.path.name}{result.because}", file=sys.stderr)
    return Exit.FAILED if failed else Exit.OK


COMMANDS: dict[str, Callable[[list[str]], Exit]] = {
    "train": train,
    "resume": resume,
    "sample": sample,
    "evaluate": evaluate,
    "figure": figure,
    "figures": figures,
    "status": status,
    "compare": compare,
    "report": report,
    "list": list_,
    "clean": clean,
    "wandb-sync": wandb_sync,
    "wandb-view": wandb_view,
    "doctor": doctor,
}

OWN_HELP = ("train", "sample", "compare")
"""Commands whose parsers answer to --help."""

TRAIN = ("train", "resume", "figure", "figures")
"""Commands that several ranks carry out together."""


def entry() -> None:
    """The console script."""
    open_standard_streams()
    warnings.filterwarnings("ignore", category=SyntaxWarning)
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is said: Python takes a while to end
    if not several():  # what PyTorch has running between ranks ends with the objects that hold it
        gc.freeze()  # a shorter one: it would look through all that was imported for garbage
    sys.exit(status)
