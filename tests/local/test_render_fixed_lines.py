"""The bundled recordings are those that the render module makes from the texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.fixed_lines import render
from thirdring import fixed_lines
from thirdring.fixed_lines import FixedLine


@pytest.mark.parametrize("line", FixedLine)
def test_a_recording_says_its_text(line: FixedLine, tmp_path: Path) -> None:
    """Rendering the text anew gives a recording of the same length as the one in the tree."""
    render(line, tmp_path / "new.wav")
    bundled = Path(fixed_lines.__file__).parent / f"{line.value}.wav"
    # Other versions of flite and sox may round otherwise: 1 % is less than one syllable.
    size = bundled.stat().st_size
    assert (tmp_path / "new.wav").stat().st_size == pytest.approx(size, rel=0.01)
