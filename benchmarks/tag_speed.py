"""How fast a saved tagger of Unrolled answers, by the same clock as its peers. Part of benchmarks/tag.py:

python benchmarks/tag_speed.py FOLDER FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tagged import read, speed

import unrolled


def main() -> None:
    folder, file = map(Path, sys.argv[1:])
    model = unrolled.load(folder)
    words, _ = read(file)
    print(json.dumps(speed(model.tag_words, words)))


if __name__ == "__main__":
    main()
