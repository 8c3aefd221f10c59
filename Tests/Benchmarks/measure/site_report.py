"""The figures of replication between sites as a table, with the bars."""

import statistics

# A spool that has gathered crosses a link of 50 ms each way, against the same link without delay.
DRAIN_RATIO_MIN = 0.8


def medians(results):
    """The median of each figure over several runs, and the lowest and highest of the main one."""
    main = "rate" if "rate" in results[0] else "p50"
    figures = {key: statistics.median(result[key] for result in results) for key in results[0]}
    figures["runs"] = [result[main] for result in results]
    return figures


def row_of(found, work, delay):
    return next((row for row in found["works"] if (row["work"], row["delay"]) == (work, delay)), None)


def ratio(found, work, delays=(0, 50)):
    """How much of its rate a work keeps on the slow link; None if it was not measured."""
    fast, slow = (row_of(found, work, delay) for delay in delays)
    return slow["rate"] / fast["rate"] if fast and slow and "rate" in fast else None


def bars(figures):
    """Each bar: what, measured, bound, met or not."""
    rows = []
    for copies, found in figures["copies"].items():
        kept = ratio(found, "drain")
        if kept is not None:
            rows.append({"bar": f"drain of a gathered spool, R={copies}: 50 ms each way against none",
                         "measured": round(kept, 2), "bound": f"at least {DRAIN_RATIO_MIN}", "met": kept >= DRAIN_RATIO_MIN})
    return rows


def table(figures, delays):
    """All of it, for people."""
    lines = []
    for copies, found in figures["copies"].items():
        lines += [f"R={copies}; delays are made by a process that carries the connections (their TCP is local), and alone "
                  f"could carry {found['linkLimit']:.0f} messages a second"]
        if found.get("postfixMissing"):
            lines.append(f"Postfix is not measured: {found['postfixMissing']}")
        lines.append(f"{'work':<12} {'each way':>8} {'per s':>7} {'(spread)':>13} {'of 0 ms':>8} {'first after':>12} "
                     f"{'connections':>12} {'link CPU':>9}")
        lines += [_line(found, row, delays) for row in found["works"]]
        lines += _beside_postfix(found, delays)
        lines.append("")
    for row in figures["bars"]:
        lines.append(f"{'met' if row['met'] else 'missed':<7} {row['bar']:<62} {row['measured']:>6} ({row['bound']})")
    return "\n".join(lines)


def _line(found, row, delays):
    spread = f"{min(row['runs']):.0f}–{max(row['runs']):.0f}"
    start = f"{row['work']:<12} {row['delay']:>5} ms"
    if "p50" in row:
        return f"{start} p50 {row['p50']:.0f} ms ({spread}), p99 {row['p99']:.0f} ms, slowest {row['maximum']:.0f} ms"
    kept = f"{ratio(found, row['work'], delays):.0%}" if row["delay"] == delays[1] else ""
    first = f"{row['firstAfter']:.1f} s" if "firstAfter" in row else ""
    return (f"{start} {row['rate']:>7.0f} {spread:>13} {kept:>8} {first:>12} {row.get('connections', ''):>12} "
            f"{row['linkCPU']:>9.0%}")


def _beside_postfix(found, delays):
    lines = []
    for delay in delays:
        own, other = row_of(found, "drain", delay), row_of(found, "Postfix", delay)
        if own and other:
            lines.append(f"drain beside Postfix, {delay} ms: {own['rate'] / other['rate']:.1f} times")
    return lines
