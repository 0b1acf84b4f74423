"""The data of runs: the digest that identifies them, and whether they still are what they were."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gp_lab.data.contents import Contents, contents_of, differences, looking
from gp_lab.errors import BadInput
from gp_lab.instantiate import check_types_in_source, instantiate
from gp_lab.runs.data import data_of, keep_data
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import (
    ANY,
    Config,
    canonical,
    digest_of,
    folder_of,
    is_checked,
    with_digest,
)
from gp_lab.runs.lookup import relatives
from gp_lab.runs.settings import Settings
from gp_lab.training.process_group import quiet

if TYPE_CHECKING:  # most commands look at no data
    from gp_lab.training.setup import Setup


SOON = 1000
"""So many runs of a sweep are looked through before PyTorch is imported, in a fifth of its time."""


@dataclass(frozen=True)
class RunData:
    """What a run is trained on.

    config: with the digest of the run's own data. contents: what they hold now, for a text with the
    vocabulary that the run's folder has; None for data that have checksums or no files.
    """

    config: Config
    contents: Contents | None = None


def identified(configs: Sequence[Config]) -> list[Config]:
    """The configs that a command has composed, with the digests of their data.

    Says which runs begin anew because their data are others than those of an earlier one. Raises
    `BadInput` as `run_data` does; for what the parts' sources tell, before anything heavy is
    imported.
    """
    for config in configs[:SOON]:
        for group, node in config.items():
            check_types_in_source(node, group)
    found = run_data(configs)
    if not quiet():
        for sentence in _beginning_anew(found):
            print(sentence, file=sys.stderr)
    return [data.config for data in found]


def run_data(
    configs: Sequence[Config], folders: Sequence[RunFolder] | None = None
) -> list[RunData]:
    """What runs are trained on; `folders` are theirs, if not where the configs say.

    Each data set is looked at once. Raises `BadInput` for a wrong scalar or part, for data that are
    missing, that have another digest than the config asks for, or that are others than those that
    the run has been trained on. Nothing is written.
    """
    found, older = [], []
    look = _Looking()
    for i, config in enumerate(configs):
        dataset, now = look(config)
        if now is None:
            found.append(RunData(config))
            continue
        Settings.of(config)  # before its `out` is looked into
        if folders is None:
            config = _filled(config, now)
        folder = RunFolder(folder_of(config)) if folders is None else folders[i]
        if config.get("force") or not folder.exists:
            found.append(RunData(_filled(config, now), now))
            continue
        known = data_of(folder.path)
        own = known[0].digest if known else digest_of(folder.config)
        if own is None:
            older.append(folder)
        elif digest_of(config) != ANY:
            _compare(folder, known[-1] if known else Contents(own), now, dataset, config)
        spelt = known[0].characters if known else ()
        config = with_digest(config, own or now.digest)
        found.append(RunData(config, replace(now, characters=spelt)))
    if older:
        _say_that_they_are_older(older)
    return found


def keep(folder: RunFolder, run: "Setup", step: int) -> None:
    """Write into a run's folder what it is trained on from `step` on."""
    own = digest_of(run.config)
    if run.contents is None or own is None:
        return
    keep_data(folder.path, own, run.contents, step)
    if digest_of(before := folder.config) is None:
        folder.write_config(with_digest(before, own))


class _Looking:
    """Looks at each data set once."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Any, Contents | None]] = {}

    def __call__(self, config: Config) -> tuple[Any, Contents | None]:
        """The data set of a config, and what it holds now: None for data that have checksums, that
        come from no files or that cannot say."""
        node = config["dataset"]
        if not _has_files(node):
            return None, None
        dataset, found = (None, None) if is_checked(node) else self._look(config)
        if found is None and (digest := digest_of(config)):
            why = "its files have published checksums" if is_checked(node) else "it has none"
            raise BadInput(f"dataset.digest={digest}: {why}; leave the key out")
        return dataset, found

    def _look(self, config: Config) -> tuple[Any, Contents | None]:
        node = with_digest(config, None)["dataset"]
        key = canonical([node, trust := config.get("trust", [])])
        if key not in self.known:
            from gp_lab.data.base import Dataset  # and with it torch
            from gp_lab.training.setup import parts_of

            parts_of(config)  # what is quickly checked comes before what may take long
            dataset = instantiate(node, "dataset", trust, Dataset)
            with looking():
                found = contents_of(dataset)
            self.known[key] = dataset, found
        return self.known[key]


def _has_files(node: Any) -> bool:
    if not isinstance(node, Mapping):
        return False
    return "digest" in node or "root" in node or _has_files(node.get("source"))


def _filled(config: Config, now: Contents) -> Config:
    """The config of a new run on these data. Raises `BadInput` if it asks for others."""
    digest = digest_of(config)
    if digest == ANY:
        raise BadInput(
            f"dataset.digest={ANY}: goes on with a run whose data have changed; write gp-lab resume"
            f" RUN dataset.digest={ANY}"
        )
    if digest not in (None, now.digest):
        raise BadInput(
            f"dataset.digest={digest}: {now.place} holds other data, {now.digest}; leave the key"
            " out to train on them"
        )
    return with_digest(config, now.digest)


def _compare(
    folder: RunFolder, before: Contents, now: Contents, dataset: Any, config: Config
) -> None:
    """Raises `BadInput` for data that are others than they were."""
    if before.digest == now.digest:
        return
    if before.characters:
        with suppress(BadInput):  # it may have become too short to have any
            now = replace(now, characters=dataset.characters)
    lay = f" (they lay in {before.place})" if before.place not in ("", now.place) else ""
    elsewhere = ", dataset.root=DIR says where they lie" * ("root" in config["dataset"])
    raise BadInput(
        f"{folder.path}: its data are not those that it was trained on{lay}:"
        f" {differences(before, now)}; put them back{elsewhere}, or dataset.digest={ANY} goes on"
        " with what is there now"
    )


def _say_that_they_are_older(folders: Sequence[RunFolder]) -> None:
    more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
    warnings.warn(
        f"{folders[0].path}{more}: made before runs kept the digest of their data; whether those"
        " that are there now are the same cannot be told",
        stacklevel=3,
    )


def _known(folder: RunFolder) -> list[Contents]:
    """What another run was trained on, as far as it says."""
    try:
        return data_of(folder.path)
    except BadInput:
        return []


def _beginning_anew(found: Sequence[RunData]) -> list[str]:
    """A sentence for the runs that there are on other data alone, each kind of difference once."""
    new = [
        (data.config, data.contents)
        for data in found
        if data.contents and not RunFolder(folder_of(data.config)).exists
    ]
    changed: dict[str, list[str]] = {}
    for (config, now), others in zip(new, relatives([c for c, _ in new]), strict=True):
        for folder in others:
            if known := _known(folder):
                what = differences(known[0], now)
                changed.setdefault(what, []).append(f"{folder.path} -> {folder_of(config).name}")
                break
    return [
        f"trained before on other data ({what}), begins anew: {pairs[0]}"
        + f" and {len(pairs) - 1} more" * (len(pairs) > 1)
        for what, pairs in changed.items()
    ]
