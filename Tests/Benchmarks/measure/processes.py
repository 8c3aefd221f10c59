"""CPU and memory of a cluster's processes, from /proc."""

import os

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """User-mode and system seconds of these processes so far, together."""
    user = system = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS, system / TICKS


def resident_kib(pids):
    """Resident memory of these processes, each counted whole."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return total
