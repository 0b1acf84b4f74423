"""Make the mapped array of a large image set once, so that training reads it without a loader.

    python scripts/prepare.py celeba root=/data/celeba
    python scripts/prepare.py lsun root=/data/lsun source.image_size=128
    python scripts/prepare.py imagenet root=/data/imagenet source.prepared=/scratch/arrays

The first word is a file of configs/dataset, the others are its keys as `gp-lab train` takes them,
with or without `dataset.` before them. Broken off, it goes on where it was when it is called again.
A run with the same keys then finds the arrays by itself; each has a JSON file beside it that says
what it was made of.
"""

import sys
from pathlib import Path

from omegaconf import OmegaConf

from gp_lab.data.pictures import ImageFolder, decoded
from gp_lab.data.prepared import prepare
from gp_lab.errors import BadInput, LabError, bad_choice
from gp_lab.launching.compose import one_sentence
from gp_lab.parts import build

CONFIGS = Path(__file__).parents[1] / "configs" / "dataset"


def source_of(name: str, overrides: list[str]) -> ImageFolder:
    """The pictures that configs/dataset/NAME.yaml describes. Raises `BadInput` for other sets."""
    path = CONFIGS / f"{name}.yaml"
    if not path.is_file():
        raise bad_choice("dataset", name, (other.stem for other in CONFIGS.glob("*.yaml")))
    wrong = [word for word in overrides if "=" not in word]
    if wrong:
        raise BadInput(f"{wrong[0]}: not written key=value")
    config = OmegaConf.create({"dataset": OmegaConf.load(path)})
    OmegaConf.set_struct(config, True)
    with one_sentence():
        given = OmegaConf.from_dotlist([f"dataset.{o.removeprefix('dataset.')}" for o in overrides])
        node = OmegaConf.to_container(OmegaConf.merge(config, given).dataset, resolve=True)
    source = build(node, "dataset").source if isinstance(node, dict) and "source" in node else None
    if not isinstance(source, ImageFolder):
        raise BadInput(f"dataset={name}: is not made of picture files; there is nothing to prepare")
    return source


def main(arguments: list[str]) -> int:
    """Prepare one set; the exit status."""
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments else 2
    try:
        source = source_of(arguments[0].removeprefix("dataset="), arguments[1:])
        print(prepare(source, source.pictures, decoded))
    except LabError as error:
        print(error, file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        print("interrupted; call it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
