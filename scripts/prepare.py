"""Make the mapped array of a large image set once, so that training reads it without a loader.

    python scripts/prepare.py celeba root=/data/celeba
    python scripts/prepare.py lsun root=/data/lsun source.image_size=128
    python scripts/prepare.py imagenet root=/data/imagenet source.prepared=/scratch/arrays

The first word is a file of configs/dataset, the others are its keys as `gp-lab train` takes them,
with or without `dataset.` before them. Broken off, it goes on where it was when it is called again.
A run with the same keys then finds the arrays by itself, and is the same run as without them; each
array has a JSON file beside it that says what it was made of. Pictures that are added, removed or
changed later stop a run until this is called again.
"""

import os
import sys

from gp_lab.data.pictures import ImageFolder, decoded
from gp_lab.data.prepared import prepare
from gp_lab.errors import BadInput, LabError, printable
from gp_lab.instantiate import instantiate
from gp_lab.launching.arguments import parse_arguments
from gp_lab.launching.compose import compose, hydra_session


def source_of(name: str, overrides: list[str]) -> ImageFolder:
    """The pictures that configs/dataset/NAME.yaml describes. Raises `BadInput` for other sets."""
    keys = [f"dataset.{override.removeprefix('dataset.')}" for override in overrides]
    with hydra_session() as hydra:
        given = parse_arguments([f"dataset={name}", *keys]).overrides
        node = compose(hydra, given)["dataset"]
    source = getattr(instantiate(node, "dataset"), "source", None)
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
        folder = prepare(source, source.pictures, decoded)
        print(os.fsencode(folder).decode(errors="replace"))
    except LabError as error:
        print(printable(str(error)), file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        print("interrupted; call it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
