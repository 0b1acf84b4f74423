"""Ranks that are told of another's failure stay until the one that speaks for all has done so."""

import os
import threading

import pytest
import torch

from gp_lab.training import heartbeat
from gp_lab.training.heartbeat import Failure, Watch, nothing


@pytest.mark.parametrize(("lost", "speaker"), [((), 0), ((0,), 1)])
def test_a_rank_that_looks_on_stays_until_the_one_that_speaks_has_spoken(
    lost: tuple[int, ...], speaker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm may end all as soon as one has ended: what the speaker saves would be cut off."""
    failure, ended, said = Failure("rank 3: no memory", lost), list[str](), list[str]()
    monkeypatch.setattr(heartbeat, "GRACE", 0.01)
    monkeypatch.setattr(os, "_exit", lambda _: ended.append(threading.current_thread().name))
    store = torch.distributed.HashStore()
    looks_on, speaks = Watch(store, 2, 4), Watch(store, speaker, 4)
    call = looks_on.begin(nothing)
    thread = threading.Thread(target=looks_on._end, args=(call, failure), name="looks on")
    thread.start()
    thread.join(0.5)
    assert ended == []
    call = speaks.begin(lambda why, _: said.append(why))
    call.failure = failure
    other = threading.Thread(target=speaks._end, args=(call, failure), name="speaks")
    other.start()
    for one in (thread, other):
        one.join(5.0)
    assert said == ["rank 3: no memory"]
    assert sorted(ended) == ["looks on", "speaks"]
