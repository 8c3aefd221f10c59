"""The rates of all works as an SVG picture: a line for each system, with the lowest and the highest run."""

from html import escape

from .peer_report import TITLES

_WIDTH, _LEFT, _RIGHT, _LINE, _GAP = 900, 230, 150, 20, 34
_COLORS = {"Hauberk": "#2f6f4f", "Postfix": "#b5651d", "Dovecot": "#7a4fa3"}
_OTHER = "#888888"


def svg(figures):
    """Of each work that has rates; each has a scale of its own, from nothing to its fastest run."""
    parts, y = [], 50
    for work, rows in figures["rows"].items():
        rated = {title: row for title, row in rows.items() if row.get("main") == "rate"}
        if len(rated) < 2:
            continue
        parts.append(_text(10, y, TITLES.get(work, work), weight="bold"))
        fastest = max(max(row["runs"]) for row in rated.values())
        for title, row in rated.items():
            y += _LINE
            parts += _bar(y, title, row, fastest)
        y += _GAP
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" '
            f'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>')
    title = f"A second, medians of {figures['rounds']} rounds; {figures['machine']['cores']} cores, {figures['machine']['date']}"
    return "\n".join([head, _text(10, 24, title), *parts, "</svg>"]) + "\n"


def _bar(y, title, row, fastest):
    def at(rate):
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * rate / fastest

    color = next((color for name, color in _COLORS.items() if title.startswith(name)), _OTHER)
    end, low, high = at(row["rate"]), at(min(row["runs"])), at(max(row["runs"]))
    yield _text(_LEFT - 8, y, title, anchor="end")
    yield f'<rect x="{_LEFT}" y="{y - 11}" width="{end - _LEFT:.1f}" height="14" fill="{color}"/>'
    yield f'<path d="M{low:.1f} {y - 4} H{high:.1f}" stroke="black" stroke-width="1.5"/>'
    yield _text(max(end, high) + 6, y, f"{row['rate']:.0f}" if row["rate"] >= 10 else f"{row['rate']:.1f}")


def _text(x, y, text, anchor="start", weight="normal"):
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
