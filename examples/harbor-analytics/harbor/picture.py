"""A terminal's text as an SVG picture: python3 -m harbor.picture watch.txt watch.svg --title 'kubectl get qm -w'

Rows that repeat the one above are left out.
"""

import argparse
from html import escape
from pathlib import Path

CHARACTER, LINE, MARGIN, BAR = 7.25, 17, 16, 30


def svg(lines: list[str], title: str) -> str:
    width = max(map(len, [title, *lines])) * CHARACTER + 2 * MARGIN
    height = len(lines) * LINE + BAR + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">',
        '<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>',
        '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12" fill="#d7dce2" xml:space="preserve">',
        f'<text x="{MARGIN}" y="20" fill="#8b96a5">$ {escape(title)}</text>',
    ]
    for number, line in enumerate(lines):
        colour = ' fill="#ffffff" font-weight="bold"' if number == 0 else ""
        length = f'textLength="{len(line) * CHARACTER:.1f}" lengthAdjust="spacingAndGlyphs"' if line else ""
        out.append(f'<text x="{MARGIN}" y="{BAR + MARGIN + number * LINE}"{colour} {length}>{escape(line)}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--title", default="kubectl get qm -w")
    arguments = parser.parse_args()
    lines = [line.rstrip() for line in arguments.text.read_text().splitlines() if line.strip()]
    changed = [line for number, line in enumerate(lines) if number == 0 or line != lines[number - 1]]
    arguments.picture.write_text(svg(changed, arguments.title))


if __name__ == "__main__":
    main()
