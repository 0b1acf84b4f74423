"""The One Billion Word benchmark (Chelba et al., 2013) of wgan_gp, Table 4."""

from dataclasses import dataclass
from pathlib import Path

from gp_lab.data.contents import Contents
from gp_lab.data.corpus import BILLION_WORD, BILLION_WORD_HELD_OUT, Corpus
from gp_lab.data.text import Text
from gp_lab.errors import BadInput


@dataclass(frozen=True)
class BillionWord(Text):
    """The benchmark and no other text, its held-out part in its own folder. As `Text` otherwise."""

    def contents(self) -> Contents:
        """Raises `BadInput` for a folder without the benchmark's two."""
        self._need_both()
        return super().contents()

    def _corpus(self) -> Corpus:
        self._need_both()
        return super()._corpus()

    def _need_both(self) -> None:
        for name in (BILLION_WORD, BILLION_WORD_HELD_OUT):
            if not Path(self.root, name).is_dir():
                raise BadInput(
                    f"dataset.root={self.root}: no folder {name} there, so it is not the One"
                    " Billion Word benchmark; put the unpacked benchmark there, or use any text of"
                    " your own, dataset=text dataset.root=FILE, or Python's: dataset=python_topics"
                )
