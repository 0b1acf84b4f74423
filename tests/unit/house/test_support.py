"""What the tests share does what it says."""

import pytest
from lab import composed, config_of


@pytest.mark.parametrize(
    "own",
    [
        ("seed=7", "out=/somewhere"),
        ("seed=0", "out=/else/where"),
        ("seed=3", "dataset=mnist", "architecture=mlp_mnist", "probe=[inception,classifier]"),
        ("dataset=mnist", "architecture=mlp_mnist", "probe=[classifier]", "out=/here"),
        ("steps=3",),
    ],
)
def test_a_config_that_many_tests_share_is_the_one_that_is_composed(own: tuple[str, ...]) -> None:
    base = ("device=cpu",)
    expected = composed([*base, *own])
    for _ in range(2):
        config = config_of(*own, base=base)
        assert config == expected
        assert list(config) == list(expected)
        config["dataset"].clear()  # what a test does to its own is nobody else's
