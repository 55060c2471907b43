"""Renders the WAV files of `thirdring.fixed_lines`: `python -m local.fixed_lines [folder]`.

Needs flite and sox (Debian packages of these names). The same versions give the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from thirdring import fixed_lines
from thirdring.fixed_lines import SAMPLE_RATE, FixedLine

__all__ = ["render"]

# Silence below 0.5 % goes at both ends, a short fade keeps them from clicking; the loudest sample
# lands 3 dB below the limit, which leaves room for the telephone's filters.
_TRIM: Final = ("silence", "1", "0.005", "0.5%", "fade", "0.005")
_EFFECTS: Final = ("highpass", "60", *_TRIM, "reverse", *_TRIM, "reverse", "gain", "-n", "-3")


def render(line: FixedLine, path: Path) -> None:
    """Write `line` as a WAV file to `path`.

    Raises:
        subprocess.CalledProcessError: flite or sox failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder, "spoken.wav")
        subprocess.run(["flite", "-voice", "slt", "-t", line.text, "-o", spoken], check=True)
        form = ["-r", str(SAMPLE_RATE), "-c", "1", "-b", "16"]
        # -D: no dither, which is random.
        subprocess.run(["sox", "-D", spoken, *form, path, *_EFFECTS], check=True)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(fixed_lines.__file__).parent
    for line in FixedLine:
        render(line, folder / f"{line.value}.wav")


if __name__ == "__main__":
    main()
