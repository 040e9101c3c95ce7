"""Bars, two to a row, as an SVG picture that needs nothing else."""

from html import escape

LABEL, PLOT, VALUE = 330, 420, 80  # widths
BAR, GAP, TOP = 11, 10, 56
COLOURS = {"Forka": "#1f77b4", "Kafka": "#d98032"}


def bars(title, rows):
    """rows: [(label, forka, kafka)]; None where there is nothing to show. Bars are as long as the figures are great."""
    greatest = max((v for _, *values in rows for v in values if v is not None), default=1) or 1
    height = TOP + len(rows) * (2 * BAR + GAP) + GAP
    width = LABEL + PLOT + VALUE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="14">{escape(title)}</text>',
    ]
    for i, (name, colour) in enumerate(COLOURS.items()):
        out.append(f'<rect x="{10 + 80 * i}" y="30" width="{BAR}" height="{BAR}" fill="{colour}"/>')
        out.append(f'<text x="{26 + 80 * i}" y="40">{name}</text>')
    for i, (label, *values) in enumerate(rows):
        y = TOP + i * (2 * BAR + GAP)
        out.append(f'<text x="{LABEL - 8}" y="{y + BAR + 4}" text-anchor="end">{escape(label)}</text>')
        for j, (value, colour) in enumerate(zip(values, COLOURS.values())):
            out += bar(y + j * BAR, value, colour, greatest)
    return "\n".join([*out, "</svg>"]) + "\n"


def bar(y, value, colour, greatest):
    if value is None:
        return []
    length = max(value / greatest * PLOT, 1)
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return [
        f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 1}" fill="{colour}"/>',
        f'<text x="{LABEL + length + 4:.1f}" y="{y + BAR - 2}">{text}</text>',
    ]
