"""The commands: train, resume, sample, figure and others. Each imports only what it needs."""

import argparse
import itertools
import logging
import os
import shutil
import signal
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gp_lab.errors import BadInput, Exit, LabError, bad_choice, counted, failure, printable, show
from gp_lab.files import is_folder, path_of
from gp_lab.terminal import columns, guarded_streams, open_standard_streams
from gp_lab.training.place import quiet, several

if TYPE_CHECKING:
    from gp_lab.figures.plan import Plan
    from gp_lab.runs.folder import RunFolder
    from gp_lab.runs.identity import Config
    from gp_lab.runs.outcome import Outcome

MOST, LAST_STEP, LAST_SEED = 10**8, 10**12, 2**63 - 1
"""Of samples; of the steps and seeds of a run."""

USAGE = """\
gp-lab: gradient penalties and generalisation in GANs, five papers as an executable edition

  gp-lab train [-m] [key=value ...]      one run, or with -m the product of comma-separated values
  gp-lab resume RUN [steps=N]            go on with a run; with more steps, extend it
  gp-lab sample RUN [-n 64] [--kind ..]  what a run's generator makes, as a picture or a text
  gp-lab evaluate RUN [probe=inception]  its scores now; step=N: at that checkpoint
                                         (all three: dataset.root=DIR where its data lie now)
  gp-lab figure PAPER/ITEM [key=value]   run what is missing, draw it, test its claims
  gp-lab figures [key=value ...]         all of them, the report, and a table of the verdicts
  gp-lab status [OUTPUTS] [--watch]      how the runs stand: step, time left, job, why it failed
  gp-lab compare [OUTPUTS] [METRIC ...]  a sweep's runs in groups: means over seeds, intervals
                                         (--sort METRIC, --csv, KEY=VALUE: only such runs)
  gp-lab report [OUTPUTS]                one page of all figures, claims and runs
  gp-lab list [figures|datasets|...]     what there is to choose from
  gp-lab clean [OUTPUTS] [--yes]         what could be deleted; with --yes, delete it

  gp-lab train --cfg job [key=value ...] the composed config        --help    all of Hydra's flags
  gp-lab figure PAPER/ITEM --cfg job     the runs it would train, and which are finished
  eval "$(gp-lab -sc install=bash)"      shell completion
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Problems that a user can mend are one sentence."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with guarded_streams(essential=_only_shows(arguments)):
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        silent = quiet()
        if silent:
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its errors' C++ traces
        try:
            with redirect_stdout(None) if silent else nullcontext():
                status = _command(arguments)
            sys.stdout.flush()
            return int(status)
        except LabError as error:
            if not silent:
                print(f"gp-lab: {printable(str(error))}", file=sys.stderr)
            _take_leave(arguments, error)
            return int(error.status)
        except KeyboardInterrupt:
            print("gp-lab: interrupted", file=sys.stderr)
            return int(Exit.INTERRUPTED)
        except SystemExit as stop:  # Hydra's --cfg, --info and --version end so, and have said why
            return int(Exit.BAD_INPUT if stop.code else Exit.OK)
        except BrokenPipeError:  # nobody reads on
            return int(Exit.OK)
        except Exception as error:
            if sentence := failure(error):
                print(f"gp-lab: {printable(sentence)}", file=sys.stderr)
            else:
                traceback.print_exc()
                print("gp-lab: this is a bug; the lines above say where", file=sys.stderr)
            _take_leave(arguments, error)
            return int(Exit.FAILED)


def _only_shows(arguments: Sequence[str]) -> bool:
    """Whether what a command prints is all that it is for."""
    acts = {"train", "resume", "sample", "evaluate", "figure", "figures", "report"}
    flags = {"--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help", "--version"}
    words = {word.partition("=")[0] for word in arguments}
    return not arguments or arguments[0] not in acts or not flags.isdisjoint(words)


def _take_leave(arguments: Sequence[str], error: Exception) -> None:
    """Tell other ranks, which may be waiting for this one, why it ends."""
    if arguments[:1] and arguments[0] in TRAIN and several():
        from gp_lab.training.distributed import take_leave

        take_leave(error)


def _command(arguments: list[str]) -> Exit:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
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
    return COMMANDS[name](rest)


def train(arguments: list[str]) -> Exit:
    """`gp-lab train`: one run, or a sweep with -m."""
    from gp_lab.launching.arguments import parse_arguments
    from gp_lab.launching.compose import CONFIG_NAME, compose, hydra_session, known, sweep_of

    args = parse_arguments(arguments)
    with hydra_session(args.config_dir) as hydra:
        if args.help:
            hydra.app_help(config_name=CONFIG_NAME, args_parser=args.parser, args=args)
        elif args.hydra_help:
            hydra.hydra_help(config_name=CONFIG_NAME, args_parser=args.parser, args=args)
        elif args.cfg:
            overrides = known(hydra, args.overrides)
            hydra.show_cfg(CONFIG_NAME, overrides, args.cfg, args.package, args.resolve)
        elif args.info is not None:
            hydra.show_info(args.info, config_name=CONFIG_NAME, overrides=args.overrides)
        elif args.multirun:
            return _summary(sweep_of(hydra, args.overrides).train())
        else:
            config = compose(hydra, args.overrides)
            if config["figure"]["id"]:
                raise BadInput(
                    f"figure={config['figure']['id']}: a figure has many runs; use gp-lab figure"
                )
            return _train_one(config)
    return Exit.OK


def resume(arguments: list[str]) -> Exit:
    """`gp-lab resume RUN [steps=N]`: go on from the last checkpoint, for longer if asked."""
    from gp_lab.launching.arguments import later, run_and_words
    from gp_lab.launching.compose import check_found
    from gp_lab.runs.identity import elsewhere
    from gp_lab.training.settings import Settings

    usage = "gp-lab resume RUN [steps=N] [dataset.root=DIR] [trust=PACKAGE]"
    folder, words = run_and_words(arguments, "resume", usage)
    said = later(words, ["steps"], f"only steps can change when a run is resumed; write {usage}")
    config = folder.found_config
    try:
        check_found(config)
        Settings.of(config)
    except BadInput as error:
        raise BadInput(f"{folder.path / 'config.yaml'}: {error}") from error
    before = config["steps"]
    config = elsewhere(config, said.data) | {"trust": list(said.trust), **said.own}
    if Settings.of(config).steps < before:
        raise BadInput(f"steps={config['steps']}: the run has {before}; it can only be extended")
    return _train_one(config, folder)


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
    parser.add_argument("--step", help="of the checkpoint; left out, the last")
    parser.add_argument("--points", default="65", help="of an interpolation's line")
    parser.add_argument("--out", help="the file; left out, one in RUN/samples")

    args = _parsed(parser, arguments, usage)

    from gp_lab.launching.arguments import later, run_and_words
    from gp_lab.overrides import number_behind

    folder, _ = run_and_words([args.run] if args.run else [], "sample", usage)
    said = later(args.overrides, [], f"nothing but the data's place can change; write {usage}")
    n = None if args.n is None else number_behind("-n", args.n, 1, MOST)
    seed = number_behind("--seed", args.seed, 0, LAST_SEED)
    step = None if args.step is None else number_behind("--step", args.step, 0, LAST_STEP)
    points = number_behind("--points", args.points, 1, MOST)
    out = None if args.out is None else path_of(args.out)

    from gp_lab.training.load import load
    from gp_lab.training.sampling import KINDS, write_samples
    from gp_lab.training.size import refuse_too_many

    run = load(folder.path, step, said.trust, data=said.data)
    each = {"interpolation": points, "classes": run.classes}.get(args.kind, 1)
    word = f"-n {n or KINDS.get(args.kind, 1)}" + f" --points {points}" * (each == points > 1)
    refuse_too_many(word, (n or 1) * each, run.setup)
    print(write_samples(run, args.kind, n, seed, points, out))
    return Exit.OK


def evaluate(arguments: list[str]) -> Exit:
    """`gp-lab evaluate RUN [step=N] [probe=NAME] [probe.NAME.key=value]`: scores, later."""
    from gp_lab.launching.arguments import later, parse_arguments, run_and_words
    from gp_lab.launching.compose import compose, hydra_session
    from gp_lab.overrides import group_of, quoted, values, whole_number

    usage = (
        "gp-lab evaluate RUN [step=N] [probe=NAME] [probe.NAME.key=value] [dataset.root=DIR]"
        " [trust=PACKAGE]"
    )
    folder, words = run_and_words(arguments, "evaluate", usage)
    of_probes = [word for word in words if group_of(word) == "probe"]
    refusal = f"cannot be changed when a run is evaluated; write {usage}"
    said = later([word for word in words if word not in of_probes], ["step"], refusal)
    step = said.own.get("step")
    if "step" in said.own:
        step = whole_number(f"step={show(step)}", step, 0, LAST_STEP)
    chosen = values([word for word in of_probes if word.startswith("probe=")])
    names = chosen.get("probe", "inception")
    listed = ",".join(map(show, names if isinstance(names, list) else [names]))
    # What is kept of the data lies where the run's own probes look for it.
    out = quoted(folder.found_config["out"])
    own = [word for word in of_probes if not word.startswith("probe=")]
    with hydra_session() as hydra:
        given = parse_arguments([f"out={out}", f"probe=[{listed}]", *own]).overrides
        probes = compose(hydra, given)["probe"]
    if not probes:
        raise BadInput(f"probe=[]: nothing to evaluate; write {usage}")

    from gp_lab.training.evaluate import evaluate as evaluate_run
    from gp_lab.training.evaluate import evaluations_table

    found = evaluate_run(folder.path, probes, step, said.trust, said.data)
    print(f"{folder.path} at step {found[0]['step']}\n{evaluations_table(found)}")
    return Exit.OK


def figure(arguments: list[str]) -> Exit:
    """`gp-lab figure PAPER/ITEM`: run what is missing, draw, test the claims."""
    from gp_lab.figures.plan import plan_of
    from gp_lab.launching.arguments import figure_arguments

    if not arguments or "=" in arguments[0] or arguments[0].startswith("-"):
        raise BadInput("figure: which one? write gp-lab figure PAPER/ITEM; see gp-lab list figures")
    args = figure_arguments(arguments[1:])
    plan = plan_of(arguments[0], args.overrides, args.config_dir)
    if args.cfg:
        print(plan.shown())
        return Exit.OK
    return _made(plan)


def _made(plan: "Plan") -> Exit:
    """Train what an entry lacks, then draw it; the status of its runs."""
    if plan.sweep is None:
        if quiet():
            return Exit.OK

        from gp_lab.figures.make import make_calculation

        print(make_calculation(plan))
        return Exit.OK
    outcomes = plan.sweep.train()
    status = _summary(outcomes)
    if quiet():
        return status

    from gp_lab.figures.make import make_figure

    print(make_figure(plan, outcomes))
    return status


def figures(arguments: list[str]) -> Exit:
    """`gp-lab figures`: every entry, one after another, then the report and a table."""
    from gp_lab.figures.plan import plan_of
    from gp_lab.launching.arguments import figure_arguments
    from gp_lab.launching.places import figure_ids

    args, plans = figure_arguments(arguments), []
    if not quiet():
        count = counted(len(figure_ids()), "figure")
        print(f"{count}: all are looked at before the first one starts", file=sys.stderr)
    for name in figure_ids():
        try:
            plans.append(plan := plan_of(name, args.overrides))
            if not args.cfg:
                plan.check()
        except BadInput as error:  # before the first one starts
            raise BadInput(f"{name}: {error}") from error
    if args.cfg:
        print("\n\n".join(plan.shown() for plan in plans))
        return Exit.OK
    worst, began, minutes = Exit.OK, time.monotonic(), dict[str, float]()
    for plan in plans:
        print(f"\n== {plan.name}")
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
        minutes[plan.name] = (time.monotonic() - began) / 60
        began = time.monotonic()
    if quiet():
        return worst

    from gp_lab.figures.sentences import summary_table
    from gp_lab.report.page import write_report

    root = plans[0].out
    print(f"\n{summary_table(root, minutes)}\nreport: {write_report(root).resolve()}")
    return worst


def report(arguments: list[str]) -> Exit:
    """`gp-lab report OUTPUTS`: one self-contained page."""
    root = _outputs(arguments, "report [OUTPUTS]")

    from gp_lab.report.page import write_report

    print(f"report: {write_report(root)}")
    return Exit.OK


def status(arguments: list[str]) -> Exit:
    """`gp-lab status [OUTPUTS] [--watch]`: a table of the runs; --watch: until all have ended."""
    from gp_lab.launching.status import rows, table, watch

    flags = [a for a in arguments if a == "--watch"]
    root = _outputs([a for a in arguments if a not in flags], "status [OUTPUTS] [--watch]")
    if flags:
        watch(root)
    else:
        print(table(rows(root)))
    return Exit.OK


def compare(arguments: list[str]) -> Exit:
    """`gp-lab compare [OUTPUTS] [METRIC ...]`: a sweep's groups, over their seeds."""
    usage = "gp-lab compare [OUTPUTS] [METRIC ...] [KEY=VALUE ...] [--sort METRIC] [--csv]"
    parser = argparse.ArgumentParser("gp-lab compare", description=compare.__doc__)
    parser.add_argument("words", metavar="OUTPUTS, METRIC or KEY=VALUE", nargs="*")
    parser.add_argument("--sort", metavar="METRIC", help="the lowest mean first")
    parser.add_argument("--csv", action="store_true", help="all metrics, for other programs")
    args = _parsed(parser, arguments, usage)
    folder = args.words[:1] if args.words and is_folder(path_of(args.words[0])) else []
    only = [word for word in args.words[len(folder) :] if "=" in word]
    metrics = [*folder, *(word for word in args.words[len(folder) :] if "=" not in word)]
    # A first word that is no folder is a metric, unless there is nothing that could have it.
    no_outputs = not Path("outputs").is_dir()
    first_is_folder = bool(metrics) and (is_folder(path_of(metrics[0])) or no_outputs)
    root = _outputs([metrics.pop(0)] if first_is_folder else [], usage)

    from gp_lab.runs.compare import by_score, check_metric, csv_table, table
    from gp_lab.runs.compare import compare as compare_runs

    groups = compare_runs(root, only)
    if not groups:
        raise BadInput(f"{root}: no runs there{' with ' * bool(only)}{' '.join(only)}")
    for name in (*metrics, *([args.sort] if args.sort else [])):
        check_metric(name, groups)
    if args.sort:
        groups = by_score(groups, args.sort)
    if args.csv:
        print(csv_table(groups, metrics), end="")
    else:
        width = columns(shutil.get_terminal_size((120, 24)).columns)
        print(table(groups, metrics, width))
    return Exit.OK


def list_(arguments: list[str]) -> Exit:
    """`gp-lab list WHAT`: the members of a group, each with its first comment."""
    from gp_lab.launching.places import choices, config_folder, groups, plural

    singular = {plural(group): group for group in groups()} | {g: g for g in groups()}
    what = _only(arguments, "list [GROUP]")
    if what is None:
        print("\n".join(plural(group) for group in groups()))
        return Exit.OK
    if what not in singular:
        raise bad_choice("list", what, [plural(g) for g in groups()])
    group = singular[what]
    width = columns()
    cut = width - 26 if width else None
    for name in choices(group):
        lines = (config_folder() / group / f"{name}.yaml").read_text().splitlines()
        first = itertools.takewhile(lambda line: line.startswith("#"), lines)
        comment = [w[2:] for w in first if not w.startswith("# @") and "gp-lab " not in w]
        said = " ".join(" ".join(comment).split())
        print(f"{name:24}  {textwrap.shorten(said, cut, placeholder=' ...') if cut else said}")
    return Exit.OK


def clean(arguments: list[str]) -> Exit:
    """`gp-lab clean OUTPUTS [--yes]`: unfinished and diverged runs, and what they take."""
    from gp_lab.runs.cleaning import delete, sweepings

    root = _outputs([a for a in arguments if a != "--yes"], "clean [OUTPUTS] [--yes]")
    found = sweepings(root)
    for item in found:
        print(f"{item.bytes / 1e6:8.1f} MB  {item.why:28} {printable(str(item.path))}")
    total = sum(item.bytes for item in found) / 1e6
    if "--yes" in arguments:
        deleted = delete(found)
        total = sum(item.bytes for item in deleted) / 1e6
        print(f"deleted {counted(len(deleted), 'item')}, {total:.1f} MB")
    else:
        print(f"{counted(len(found), 'item')}, {total:.1f} MB; nothing is deleted without --yes")
    return Exit.OK


def _parsed(
    parser: argparse.ArgumentParser, arguments: list[str], usage: str
) -> argparse.Namespace:
    """The arguments of a command, options anywhere. Raises `BadInput`."""

    def refuse(message: str) -> NoReturn:
        raise BadInput(f"{parser.prog.removeprefix('gp-lab ')}: {message}; write {usage}")

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_intermixed_args(arguments)


def _only(arguments: Sequence[str], usage: str) -> str | None:
    """The one argument of a command that takes one at most."""
    for i, word in enumerate(arguments):
        if i > 0 or word.startswith("-"):
            raise BadInput(f"{word}: not expected here; write gp-lab {usage}")
    return arguments[0] if arguments else None


def _outputs(arguments: Sequence[str], usage: str) -> Path:
    root = path_of(_only(arguments, usage) or "outputs")
    if not is_folder(root):
        raise BadInput(f"{root}: no such folder; write gp-lab {usage}")
    return root


def _train_one(config: "Config", folder: "RunFolder | None" = None) -> Exit:
    from gp_lab.data.contents import looking
    from gp_lab.launching.local import say_what_is_skipped
    from gp_lab.training.data import identified
    from gp_lab.training.trainer import train as train_runs

    with looking():
        [config] = [config] if folder else identified([config])
        if _is_finished(config, folder):
            say_what_is_skipped([config], [])
        outcome = train_runs([config], folders=[folder] if folder else None)[0]
    print(f"{outcome.state} at step {outcome.step}{_because(outcome.why)}: {outcome.folder.path}")
    return outcome.exit


def _is_finished(config: "Config", folder: "RunFolder | None") -> bool:
    """Whether a run needs no training; what is wrong with it is for the trainer to say."""
    from gp_lab.launching.local import unfinished

    try:
        if folder:
            return folder.finished(config["steps"])
        return not unfinished([config])
    except LabError:
        return False


def _summary(outcomes: "Sequence[Outcome]") -> Exit:
    """How a sweep ended: divergence is data, a failure is not."""
    states = [str(o.state) for o in outcomes]
    counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    before = " before" if all(o.before for o in outcomes) else ""
    count = counted(len(outcomes), "run")
    print(f"{count}: {counts}{before}; in {outcomes[0].folder.path.parent}")
    failed = [o for o in outcomes if o.exit == Exit.FAILED]
    for outcome in failed:
        print(f"  {outcome.folder.path.name}{_because(outcome.why)}", file=sys.stderr)
    return Exit.FAILED if failed else Exit.OK


def _because(why: str) -> str:
    return f" ({why})" if why else ""


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
}


TRAIN = ("train", "resume", "figure", "figures")
"""Commands that several ranks carry out together."""


def entry() -> None:
    """The console script."""
    open_standard_streams()
    warnings.filterwarnings("ignore", category=SyntaxWarning)
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is said: Python takes a while to end
    sys.exit(status)
