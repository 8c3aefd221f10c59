"""."""
def __getattr__(name):
    def f(*a): return None
    f.__doc__=""
    return f
