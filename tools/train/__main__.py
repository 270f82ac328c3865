"""The trainer's command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .encode import encode_file
from .schema import DEFINITION, Schema


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    sub = parser.add_subparsers(dest="command", required=True)
    enc = sub.add_parser("encode", help="encode raw inputs, for the server's parity test")
    enc.add_argument("raw", type=Path)
    enc.add_argument("out", type=Path)
    enc.add_argument("--schema", type=Path, default=DEFINITION)
    args = parser.parse_args()
    encode_file(Schema.load(args.schema), args.raw, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
