"""CPU and memory of a server's processes, from /proc."""

import os

TICKS = os.sysconf("SC_CLK_TCK")
KERNEL_STACK_KIB = 16


def _stat(pid):
    """The fields behind the process's name; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_seconds(pids):
    """User-mode and system seconds of these processes so far, together."""
    user = system = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS, system / TICKS


def tree(roots):
    """These processes and all that descend from them, as far as they live."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(name)):
            children.setdefault(int(fields[1]), []).append(int(name))
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def tree_cpu_seconds(roots):
    """User-mode and system seconds of these processes and all their descendants, those too that have ended: whoever waited
    for them has their time."""
    user = system = 0
    for pid in tree(roots):
        if fields := _stat(pid):
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
    return user / TICKS, system / TICKS


def resident_kib(pids):
    """Resident memory of these processes, each counted whole."""
    return sum(_lines(f"/proc/{pid}/status", ("VmRSS",)) for pid in pids)


def proportional_kib(pids, kind="Pss:"):
    """Resident memory of these processes, where what several of them share is shared out; with page tables and stacks that
    the kernel keeps for them."""
    total = 0
    for pid in pids:
        try:
            total += _lines(f"/proc/{pid}/smaps_rollup", (kind,)) + _lines(f"/proc/{pid}/status", ("VmPTE",))
            total += KERNEL_STACK_KIB * len(os.listdir(f"/proc/{pid}/task"))
        except (FileNotFoundError, ProcessLookupError):
            pass  # It has ended meanwhile.
    return total


def anonymous_kib(pids):
    """The same without pages of files: how much of a program is in memory, and who else runs it, changes with what else the
    machine does."""
    return proportional_kib(pids, "Pss_Anon:")


def _lines(path, names):
    with open(path, encoding="utf-8", errors="replace") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(names))


# Caches of the kernel that a connection's ends are in. Names that the kernel keeps together count where they are.
_SOCKETS = ("TCP", "sock_inode_cache", "filp", "eventpoll_epi", "eventpoll_pwq", "lsm_file_cache", "skbuff_", "kmalloc-cg-")
_DENTRY_BYTES = 192


def socket_kib():
    """What the kernel has for sockets of all processes: its slab caches, a directory entry for each socket, and what is in
    their queues. Other users of these caches count too: only differences say something."""
    total = 0
    with open("/proc/slabinfo", encoding="ascii") as file:
        for line in file:
            if line.startswith(_SOCKETS):
                name, active, _, octets = line.split()[:4]
                total += int(active) * (int(octets) + (_DENTRY_BYTES if name == "sock_inode_cache" else 0))
    with open("/proc/net/sockstat", encoding="ascii") as file:
        pages = next(int(line.split()[-1]) for line in file if line.startswith("TCP:"))
    return (total + pages * os.sysconf("SC_PAGE_SIZE")) / 1024


def written_octets(pids):
    """Octets that these processes have written so far, to sockets and files."""
    return sum(_lines(f"/proc/{pid}/io", ("wchar",)) for pid in pids)
