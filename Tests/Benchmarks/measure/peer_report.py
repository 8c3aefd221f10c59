"""."""
def __getattr__(name):
    def f(*a): return None
    f.__doc__=""
    return f
def bars(rows): return []
def table(f):
    import json
    return json.dumps(f,indent=1,ensure_ascii=False)
