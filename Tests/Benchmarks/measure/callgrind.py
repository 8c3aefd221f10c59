"""Instructions and allocations of servers that run under valgrind's callgrind."""

import glob
import os
import re
import subprocess

from .runs import MeasureError

_ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"}


class Callgrind:
    """`program` runs `hauberk serve` under callgrind, and everything else of it as it is."""

    def __init__(self, valgrind, vgdb, hauberk, home):
        self.vgdb = vgdb
        self._outputs = os.path.join(home, "callgrind")
        self._pipes = os.path.join(home, "vgdb")
        self.program = os.path.join(home, "hauberk-counted")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(f"""#!/bin/sh
[ "$1" = serve ] || exec "{hauberk}" "$@"
exec "{valgrind}" --tool=callgrind --callgrind-out-file="{self._outputs}.%p" --vgdb-prefix="{self._pipes}" \\
    --fair-sched=yes -q "{hauberk}" "$@"
""")
        os.chmod(self.program, 0o755)

    def measure(self, pids, work, name):
        """Instructions and allocations of all these processes while the work of that name is done."""
        for pid in pids:
            self._say(pid, "zero")
        work()
        known = set(glob.glob(f"{self._outputs}.*"))
        for pid in pids:
            self._say(pid, "dump")
        totals = [read(path) for path in set(glob.glob(f"{self._outputs}.*")) - known if os.path.getsize(path) > 0]
        if len(totals) != len(pids):
            raise MeasureError(f"{name}: callgrind told {len(totals)} of {len(pids)} processes")
        return {"instructions": sum(total[0] for total in totals), "allocations": sum(total[1] for total in totals)}

    def _say(self, pid, word):
        result = subprocess.run([self.vgdb, f"--vgdb-prefix={self._pipes}", f"--pid={pid}", word], capture_output=True,
                                text=True, timeout=120, check=False)
        if result.returncode != 0:
            raise MeasureError(f"vgdb {word}: {result.stderr.strip()}")


def read(path):
    """Instructions, and calls of allocators, of one dump."""
    names, called, instructions, allocations = {}, None, None, 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line):
                kind, number, name = match.groups()
                if name:
                    names[number] = name
                if kind == "cfn":
                    called = names.get(number)
            elif line.startswith("calls=") and called in _ALLOCATORS:
                allocations += int(line[6:].split()[0])
            elif match := re.match(r"(?:totals|summary): (\d+)", line):
                instructions = int(match[1])
    if instructions is None:
        raise MeasureError(f"{path} tells no total")
    return instructions, allocations
