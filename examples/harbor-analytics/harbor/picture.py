"""A recorded `kubectl get qm -w` as an SVG picture: python3 -m harbor.picture out/watch.txt media/watch.svg

Rows that say nothing new but an age are left out, and what comes after the first rollback; long ones are cut.
"""

import argparse
import re
from html import escape
from pathlib import Path

CHARACTER, LINE, MARGIN, BAR, LONGEST = 7.25, 17, 16, 30, 168
AGE = re.compile(r"(?<=  )(?:[0-9]+[dhms])+(?=\s|$)")
COLOURS = {"Promoted": "#7fd18b", "RolledBack": "#ff8f87"}


def telling(lines: list[str]) -> list[str]:
    """The rows of a picture."""
    rows, before = [], None
    for line in (line.rstrip() for line in lines if line.strip()):
        said = AGE.sub("", line).split()
        if said != before and len(said) > 1:
            rows.append(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
        before = said
        if "RolledBack" in said:
            break
    return rows


def style(number: int, line: str) -> str:
    if number == 0:
        return ' fill="#ffffff" font-weight="bold"'
    phase = (line.split() + ["", ""])[1]
    return f' fill="{COLOURS[phase]}"' if phase in COLOURS else ""


def columns(line: str) -> str:
    """Browsers collapse plain spaces, whatever xml:space says."""
    return escape(line).replace(" ", "\u00a0")


def svg(lines: list[str], title: str) -> str:
    width = max(map(len, [title, *lines])) * CHARACTER + 2 * MARGIN
    height = len(lines) * LINE + BAR + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">',
        '<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>',
        '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12" fill="#d7dce2">',
        f'<text x="{MARGIN}" y="20" fill="#8b96a5">$ {escape(title)}</text>',
    ]
    for number, line in enumerate(lines):
        length = f'textLength="{len(line) * CHARACTER:.1f}" lengthAdjust="spacingAndGlyphs"' if line else ""
        out.append(f'<text x="{MARGIN}" y="{BAR + MARGIN + number * LINE}"{style(number, line)} {length}>{columns(line)}</text>')
    return "\n".join([*out, "</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--title", default="kubectl get qm -w")
    arguments = parser.parse_args()
    arguments.picture.write_text(svg(telling(arguments.text.read_text().splitlines()), arguments.title))


if __name__ == "__main__":
    main()
