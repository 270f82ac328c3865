"""From an event log to a model bundle.

    python -m tools.train synth --out LOG            write the log of a synthetic world
    python -m tools.train fit --log LOG --out DIR    train, calibrate, judge, write a bundle directory
    python -m tools.train encode RAW OUT             encode raw inputs (the server's parity test)

Exit codes: 0 done, 1 trained but short of what --require asks, 2 wrong use or unusable data.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from . import eventlog, fit, report
from .encode import encode_file, encode_log
from .poison import KINDS, poison
from .schema import DEFINITION, Schema
from .trainers import TRAINERS
from .world import WorldConfig, generate

AUC_BELOW_BAYES_MAX = 0.01
DECILE_ERROR_MAX = 0.05


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _synth(args: argparse.Namespace) -> int:
    config = WorldConfig(seed=args.seed, days=args.days, impressions=args.impressions, users=args.users)
    log = generate(config)
    for kind in args.poison:
        log = poison(log, kind, config.seed)
    eventlog.write(log, args.out)
    _say(f"wrote {len(log):,} impressions, {len(log.click_row):,} clicks and {len(log.conversion_row):,} conversions to {args.out}")
    return 0


def _fit(args: argparse.Namespace) -> int:
    schema = Schema.load(args.schema)
    config = fit.FitConfig(trainer=args.trainer, calibration=args.calibration, seed=args.seed, threads=args.threads)
    for name in ("ctr", "cvr", "context"):
        params = getattr(config, name)
        trees, leaves = getattr(args, f"{name}_trees") or params.trees, getattr(args, f"{name}_leaves") or params.leaves
        config = replace(config, **{name: replace(params, trees=trees, leaves=leaves)})
    log = eventlog.read(args.log)
    result = fit.run(log, schema, config, _say)
    # A log's bundle has the same version whenever it is trained: when the log ended.
    version = args.version or int(log.time[-1] // 1000)
    fit.write(result, schema, args.out, args.name, version, args.seed)
    report.write(args.report or args.out / "report", result.metrics, result.quarantine, result.data)
    _say(f"wrote {args.out} (version {version})")
    short = _short_of(result.metrics) if args.require else []
    for text in short:
        _say(f"short of --require: {text}")
    return 1 if short else 0


def _short_of(metrics: dict[str, dict]) -> list[str]:
    """What of the demands on a synthetic log is not met."""
    out = []
    for name in ("ctr", "cvr"):
        m = metrics[name]
        if m.get("auc_below_bayes", 1) > AUC_BELOW_BAYES_MAX:
            out.append(f"{name}: AUC {m['auc']:.4f} is more than {AUC_BELOW_BAYES_MAX} below the best")
        if not m["worst_decile_error"] < DECILE_ERROR_MAX:
            out.append(f"{name}: a decile is {100 * m['worst_decile_error']:.1f} % off")
    return out


def _encode(args: argparse.Namespace) -> int:
    schema = Schema.load(args.schema)
    if args.log:
        encode_log(schema, args.log, args.raw, args.out)
    else:
        encode_file(schema, args.raw, args.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="command", required=True)
    world = WorldConfig()

    synth = sub.add_parser("synth", help="write the log of a synthetic world with known rates")
    synth.add_argument("--out", type=Path, required=True, help="folder for the Parquet files")
    synth.add_argument("--seed", type=int, default=world.seed)
    synth.add_argument("--days", type=int, default=world.days)
    synth.add_argument("--impressions", type=int, default=world.impressions)
    synth.add_argument("--users", type=int, default=world.users)
    synth.add_argument("--poison", action="append", default=[], choices=KINDS, help="plant traffic that no person made; may be given again")
    synth.set_defaults(run=_synth)

    fitting = sub.add_parser("fit", help="train on a log and write a bundle directory")
    fitting.add_argument("--log", type=Path, required=True, help="folder of the Parquet files (tools/train/eventlog.py describes them)")
    fitting.add_argument("--out", type=Path, required=True, help="folder for the bundle's parts")
    fitting.add_argument("--report", type=Path, help="folder for report.json and reliability.svg (default: OUT/report)")
    fitting.add_argument("--schema", type=Path, default=DEFINITION, help="definition of the columns")
    fitting.add_argument("--name", default="demo", help="name of the bundle")
    fitting.add_argument("--version", type=int, help="version of the bundle (default: the log's last second)")
    fitting.add_argument("--trainer", choices=sorted(TRAINERS), default="lightgbm")
    fitting.add_argument("--calibration", choices=("auto", "isotonic", "platt"), default="auto")
    fitting.add_argument("--seed", type=int, default=1)
    fitting.add_argument("--threads", type=int, default=2)
    fitting.add_argument("--require", action="store_true", help=f"fail unless AUC is within {AUC_BELOW_BAYES_MAX} of the best and every decile within {DECILE_ERROR_MAX:.0%}".replace("%", "%%"))
    for name in ("ctr", "cvr", "context"):
        fitting.add_argument(f"--{name}-trees", type=int, metavar="N")
        fitting.add_argument(f"--{name}-leaves", type=int, metavar="N")
    fitting.set_defaults(run=_fit)

    enc = sub.add_parser("encode", help="encode raw inputs, for the server's parity test")
    enc.add_argument("raw", type=Path)
    enc.add_argument("out", type=Path)
    enc.add_argument("--log", type=Path, help="write RAW too: the inputs of this log, as training has them")
    enc.add_argument("--schema", type=Path, default=DEFINITION)
    enc.set_defaults(run=_encode)
    return parser


def main() -> int:
    args = _parser().parse_args()
    began = time.monotonic()
    try:
        code = args.run(args)
    except (eventlog.LogError, fit.FitError, OSError, ValueError) as e:
        _say(f"tools.train: {e}")
        return 2
    if args.command != "encode":
        _say(f"took {time.monotonic() - began:.1f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
