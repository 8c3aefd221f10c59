"""One measured run of a load against a cluster, or of the bare loop beside it."""

import json
import os
import resource
import statistics
import subprocess
import time

from .processes import cpu_seconds


LOAD_SECONDS_MAX = 600


class MeasureError(Exception):
    """A run that cannot be taken for a measurement; the text says why."""


def settle(seconds):
    """Lets the disk finish what earlier runs left to it: removed files are discarded late, and slow fsync meanwhile."""
    os.sync()
    time.sleep(seconds)


def rotate(works, rounds, pause, say):
    """Runs all works in every round, starting with another one each time. Returns the results of each.

    A work's name is text, or a tuple of what says which it is.
    """
    results = {name: [] for name in works}
    names = list(works)
    for number in range(rounds):
        start = number * len(names) // rounds
        for name in names[start:] + names[:start]:
            words = name if isinstance(name, str) else ", ".join(map(str, name))
            say(f"round {number + 1} of {rounds}: {words}")
            settle(pause)
            results[name].append(works[name]())
    return results


def machine():
    """What was measured on, and when."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    return {"date": time.strftime("%Y-%m-%d %H:%M:%S %z"), "cores": os.cpu_count(), "cpu": model,
            "load": os.getloadavg()[0]}


def generate(hauberk, *loads, environment=None):
    """Runs `hauberk load` with each of these arguments, at the same time. Returns their summaries, each with the time of day
    at its end and the CPU seconds of all of them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    commands = [[hauberk, "load", *map(str, arguments), "--json", "--quiet"] for arguments in loads]
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment) for command in commands]
    summaries = []
    for command, process in zip(commands, running):
        try:
            output, errors = process.communicate(timeout=LOAD_SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            for each in running:
                each.kill()
            raise MeasureError(f"{' '.join(command[1:])}: not over after {LOAD_SECONDS_MAX} s") from error
        if process.returncode != 0:
            raise MeasureError(f"{' '.join(command[1:])}: {output} {errors}")
        summaries.append({**json.loads(output), "ended": time.time()})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for summary in summaries:
        summary["generatorSeconds"] = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return summaries


def load(cluster, pids, *arguments):
    """Runs `hauberk load`. Returns its summary, with the servers' CPU microseconds per message added."""
    user, system = cpu_seconds(pids)
    summary = generate(cluster.hauberk, arguments, environment=cluster.environment)[0]
    user_after, system_after = cpu_seconds(pids)
    messages = summary["messages"] or summary["done"]
    summary["userMicroseconds"] = (user_after - user) * 1e6 / messages
    summary["systemMicroseconds"] = (system_after - system) * 1e6 / messages
    return summary


def bare_loop(program, folder, threads, cycles, octets, mailboxes, rate=None):
    """Durable deliveries by the system calls alone: how many a second, and how long they take in milliseconds."""
    words = [threads, cycles, octets, mailboxes] + ([rate] if rate else [])
    result = subprocess.run(
        [program, folder, *map(str, words)], capture_output=True, text=True, timeout=600, check=False)
    if result.returncode != 0:
        raise MeasureError(result.stderr.strip())
    return dict(zip(("rate", "p50", "p99"), map(float, result.stdout.split())))


def line_echo(program, connections, lines):
    """CPU microseconds per line of a bare NIO server that echoes lines, one at a time on each connection."""
    with subprocess.Popen([program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = server.stdout.readline().strip()
        drive(program, port, connections, connections * 100)
        user, system = cpu_seconds([server.pid])
        rate = drive(program, port, connections, lines)
        user_after, system_after = cpu_seconds([server.pid])
        server.stdin.close()
    lines -= lines % connections
    return {"rate": rate, "userMicroseconds": (user_after - user) * 1e6 / lines,
            "systemMicroseconds": (system_after - system) * 1e6 / lines}


def drive(program, port, connections, lines):
    """Lines per second that the client of `line_echo` was answered."""
    result = subprocess.run([program, "drive", port, str(connections), str(lines)], capture_output=True, text=True,
                            timeout=300, check=False)
    if result.returncode != 0:
        raise MeasureError(result.stderr.strip() or result.stdout.strip())
    return float(result.stdout)


def ring_lookup(program, nodes):
    result = subprocess.run([program, str(nodes)], capture_output=True, text=True, timeout=300, check=False)
    if result.returncode != 0:
        raise MeasureError(result.stderr.strip())
    return float(result.stdout)


def medians(summaries):
    """The median of each figure over several runs; the rate is of messages, or of sessions that read none."""
    rates = [summary["messagesPerSecond"] or summary["rate"] for summary in summaries]
    figures = {"rate": statistics.median(rates), "spread": [min(rates), max(rates)]}
    for key in ("userMicroseconds", "systemMicroseconds"):
        figures[key] = statistics.median(summary[key] for summary in summaries)
    # Of one message, where sessions with many messages tell it.
    latencies = [summary.get("retrieveLatency") or summary["latency"] for summary in summaries]
    for key in ("p50", "p99", "maximum"):
        figures[key] = statistics.median(latency[key] for latency in latencies)
    return figures
