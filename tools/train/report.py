"""The report of a run: report.json and a picture of how far to trust the rates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

TITLES = {"ctr": "CTR", "cvr": "CVR", "context": "CTR, context only"}


def write(directory: Path, metrics: dict[str, dict], quarantine: dict, data: dict) -> None:
    """Writes report.json and reliability.svg and .png."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"metrics": metrics, "quarantine": quarantine, "data": data}
    (directory / "report.json").write_text(json.dumps(document, indent=1, default=float) + "\n", encoding="utf-8")
    plot(directory, metrics)


def plot(directory: Path, metrics: dict[str, dict]) -> None:
    """Predicted against observed (with its 95 % interval) and true rates by
    decile, and below how far off the prediction is."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

    plt.rcParams["svg.hashsalt"] = "millrace"  # the same picture from the same figures
    figure, axes = plt.subplots(2, len(metrics), figsize=(4.2 * len(metrics), 6.4), height_ratios=[3, 1.3], squeeze=False)
    for (name, m), (top, bottom) in zip(metrics.items(), axes.T):
        table = m["deciles"]
        predicted = np.array([d["predicted"] for d in table])
        observed = np.array([d["observed"] for d in table])
        margin = 1.96 * np.array([d["observed_error"] for d in table])
        true = np.array([d["true"] for d in table])
        known = not np.isnan(true).any()
        ends = [min(predicted.min(), observed.min()) * 0.8, max(predicted.max(), observed.max()) * 1.25]
        top.plot(ends, ends, color="0.75", linewidth=1, zorder=0)
        top.errorbar(predicted, observed, margin, fmt="o", color="#2b6cb0", markersize=4, capsize=2, label="observed, 95 %")
        if known:
            top.plot(predicted, true, "x", color="#c05621", markersize=6, label="true")
        top.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="predicted rate", title=f"{TITLES.get(name, name)}: AUC {m['auc']:.4f}")
        for axis in (top.xaxis, top.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(PercentFormatter(1, decimals=None))
            axis.set_minor_locator(NullLocator())
        top.legend(frameon=False, loc="upper left")
        bottom.axhspan(-5, 5, color="0.93")
        bottom.axhline(0, color="0.75", linewidth=1)
        against = true if known else observed
        bottom.bar(np.arange(1, len(table) + 1), 100 * (predicted / np.where(against > 0, against, np.nan) - 1), color="#2b6cb0")
        low, high = bottom.get_ylim()
        bottom.set(xlabel="decile of prediction", xticks=np.arange(1, len(table) + 1), ylim=(min(low, -7), max(high, 7)))
    axes[0][0].set_ylabel("rate")
    axes[1][0].set_ylabel("too high, %")
    figure.tight_layout()
    figure.savefig(directory / "reliability.svg", metadata={"Date": None})
    figure.savefig(directory / "reliability.png", dpi=110)
    plt.close(figure)
