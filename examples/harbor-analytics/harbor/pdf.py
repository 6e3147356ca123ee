"""Incident reports as PDF files (PDF 1.4, one page, the standard fonts), written without any library."""

import textwrap
from pathlib import Path

from harbor.incidents import Incident

PAGE = (595, 842)  # A4 in points
MARGIN = 64
# (title font and size, body size, rule under the title, fields in a box): what the four forms look like
STYLES = {
    "INCIDENT REPORT": ("F2", 20, 11, True, True),
    "Internal memo": ("F2", 16, 11, True, False),
    "Safety report": ("F2", 14, 10, False, True),
    "": ("F3", 18, 11, False, False),
}


def _style(title: str):
    return next(style for prefix, style in STYLES.items() if title.startswith(prefix))


def _text(font: str, size: int, x: float, y: float, text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {x:.1f} {y:.1f} Td ({escaped}) Tj ET"


def _content(one: Incident) -> str:
    """Drawing operators in reading order, which `pdftotext -raw` keeps."""
    title_font, title_size, body_size, rule, box = _style(one.title)
    y = PAGE[1] - MARGIN
    out = [_text(title_font, title_size, MARGIN, y, one.title)]
    y -= 12
    if rule:
        out.append(f"1.5 w {MARGIN} {y} m {PAGE[0] - MARGIN} {y} l S")
    y -= 26
    top = y + 16
    for field in one.fields:
        out.append(_text("F1", body_size, MARGIN + (10 if box else 0), y, field))
        y -= body_size * 1.6
    if box:
        out.append(f"0.7 w {MARGIN} {y + 4:.1f} {PAGE[0] - 2 * MARGIN} {top - y - 4:.1f} re S")
    y -= 18
    for line in textwrap.wrap(one.body, width=int(960 / body_size), break_on_hyphens=False):
        out.append(_text("F1", body_size, MARGIN, y, line))
        y -= body_size * 1.45
    out.append(_text("F3", 9, MARGIN, MARGIN, one.footer))
    return "\n".join(out)


def render(one: Incident) -> bytes:
    content = _content(one).encode("latin-1")
    fonts = ["Helvetica", "Helvetica-Bold", "Times-Italic"]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {PAGE[0]} {PAGE[1]}] /Contents 4 0 R /Resources "
        "<< /Font << /F1 5 0 R /F2 6 0 R /F3 7 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        *(f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} /Encoding /WinAnsiEncoding >>".encode() for font in fonts),
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)


def write(one: Incident, folder: Path) -> Path:
    path = folder / f"{one.id}.pdf"
    path.write_bytes(render(one))
    return path
