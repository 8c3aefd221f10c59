"""Runs the checks of what a benchmark measures with."""


def run(benchmark, checks):
    """Prints what fails. Returns the exit status."""
    status = 0
    for check in checks:
        try:
            check()
        except AssertionError as error:
            print(f"{check.__name__.strip('_').replace('_', ' ')}: no, {error}")
            status = 1
    if status == 0:
        print(f"bench {benchmark}: what measures is well")
    return status
