"""The figures as a table, with the budgets."""

USER_MICROSECONDS_MAX = 200
SHARE_OF_BARE_LOOP_MIN = 0.30
IDLE_KIB_MAX = 48
RING_NANOSECONDS_MAX = 100
# The 99th percentile of SMTP's latencies while a node hangs, against the same load with all nodes well.
HANGING_P99_TIMES_MAX = 3


def budgets(figures):
    """Each budget: what, measured, bound, met or not."""
    smtp = figures["mail"].get("SMTP, 32 connections")
    rows = []
    if smtp:
        rows.append(user_mode_budget(smtp["userMicroseconds"], figures["lineEcho"]))
        rows.append(("deliveries against the bare loop, 32 connections", smtp["ofBareLoop"] * 100, "%",
                     smtp["ofBareLoop"] >= SHARE_OF_BARE_LOOP_MIN, f"at least {SHARE_OF_BARE_LOOP_MIN:.0%}"))
    for name, kib in figures["idle"].items():
        rows.append((f"memory per idle session, {name}", kib, "KiB", kib <= IDLE_KIB_MAX, f"at most {IDLE_KIB_MAX} KiB"))
    rows.append(("ring look-up", figures["ringNanoseconds"], "ns", figures["ringNanoseconds"] < RING_NANOSECONDS_MAX,
                 f"under {RING_NANOSECONDS_MAX} ns"))
    well, hanging = (figures["hanging"][name]["p99"] for name in ("well", "hanging"))
    rows.append(("p99 of two copies while one node hangs", hanging, "ms", hanging <= HANGING_P99_TIMES_MAX * well,
                 f"at most {HANGING_P99_TIMES_MAX} times that of all nodes well, which is {well:.1f} ms"))
    return [{"budget": name, "measured": round(value, 1), "unit": unit, "bound": bound, "met": met}
            for name, value, unit, met, bound in rows]


def user_mode_budget(measured, echo):
    """The budget for user-mode CPU, beside what a line of the bare NIO echo costs here."""
    echo = echo["userMicroseconds"] + echo["systemMicroseconds"]
    bound = (f"at most {USER_MICROSECONDS_MAX} µs; {measured / echo:.1f} times a line of the NIO echo, which takes {echo:.1f} µs, "
             "user and system")
    return ("user-mode CPU per 4 KiB message, frontend and node", measured, "µs", measured <= USER_MICROSECONDS_MAX, bound)


def table(figures):
    """All of it, for people."""
    lines = [f"{'work':<38} {'per s':>8} {'(spread)':>15} {'bare':>8} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8} "
             f"{'user µs':>8} {'sys µs':>7}"]
    for name, row in {**figures["mail"], **figures["read"]}.items():
        bare = f"{row['bareLoop']:>8.0f} {row['ofBareLoop']:>6.0%}" if "bareLoop" in row else f"{'':>8} {'':>6}"
        spread = f"{row['spread'][0]:.0f}–{row['spread'][1]:.0f}"
        lines.append(
            f"{name:<38} {row['rate']:>8.0f} {spread:>15} {bare} {row['p50']:>8.2f} {row['p99']:>8.2f} "
            f"{row['userMicroseconds']:>8.0f} {row['systemMicroseconds']:>7.0f}")
    echo = figures["lineEcho"]
    lines.append(f"{'NIO line echo, lock-step, 64 at once':<38} {echo['rate']:>8.0f} {'':>48} "
                 f"{echo['userMicroseconds']:>8.1f} {echo['systemMicroseconds']:>7.1f}")
    for name, what in (("well", "all nodes well"), ("hanging", "one node hangs")):
        row = figures["hanging"][name]
        lines.append(f"{f'two copies, 8 connections, {what}':<54} {row['rate']:>8.0f} per s, p50 {row['p50']:.1f} ms, "
                     f"p99 {row['p99']:.1f} ms, slowest {row['maximum']:.0f} ms")
    lines.append("")
    for row in figures["budgets"]:
        verdict = "met" if row["met"] else "missed"
        lines.append(f"{verdict:<7} {row['budget']:<55} {row['measured']:>8} {row['unit']:<4} ({row['bound']})")
    return "\n".join(lines)
