"""The frame of a report: one page of HTML with its own style, and nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.simulation.svg import escape

STYLE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#5d6878;--line:#e2e6ec;--grid:#edf0f4;--cell:#eceff3;
--c1:#2f6fde;--c2:#e07b39;--c3:#2a9d6f;--c4:#d1495b;--c5:#7b5ea7;--c6:#1f9aa8;--c7:#b5892a;--c8:#6b7787;
--good:#1f8a5b;--goodbg:#e3f4ec;--bad:#c0344a;--badbg:#fbe7ea;--code:#eef1f5}
@media (prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2028;--ink:#e6eaf0;--soft:#97a3b4;--line:#2b333f;
--grid:#252c36;--cell:#242b35;--c1:#6b9cf5;--c2:#f0975a;--c3:#52c496;--c4:#ef7485;--c5:#ab90d6;--c6:#52c5d2;
--c7:#dcb357;--c8:#97a3b4;--good:#5fd19f;--goodbg:#173127;--bad:#f58394;--badbg:#3a1d23;--code:#222933}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 24px 60px}
h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:18px;margin:34px 0 12px}
p{margin:0 0 10px}.about{color:var(--soft);max-width:80ch}
.pill{display:inline-block;padding:2px 10px;border-radius:12px;font-size:13px;font-weight:600;white-space:nowrap}
.good{color:var(--good);background:var(--goodbg)}.bad{color:var(--bad);background:var(--badbg)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin:18px 0 6px}
.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.fact b{display:block;font-size:20px;font-weight:650;font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:12.5px}
.grid2{display:grid;grid-template-columns:repeat(auto-fill,minmax(440px,1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 14px 10px}
figcaption{font-weight:600;margin-bottom:6px}
svg{width:100%;height:auto;display:block}
svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--soft)}svg .mark{stroke:var(--soft);stroke-dasharray:2 3;opacity:.75}
svg .tick{fill:var(--soft);font-size:11px}svg .label{fill:var(--soft);font-size:12px}
svg .value{fill:var(--ink);font-size:11.5px;font-weight:600}svg .cell{fill:var(--cell)}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:12.5px;color:var(--soft);padding:4px 4px 0}
.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:5px;vertical-align:-1px}
.note{color:var(--soft);font-size:12.5px;margin:6px 4px 2px}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:7px 14px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}th{color:var(--soft);font-weight:600;font-size:12.5px}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--code);border-radius:6px}
code{padding:1px 5px;overflow-wrap:anywhere}pre{padding:10px 14px;overflow-x:auto;white-space:pre-wrap;margin:8px 0}
details{margin-top:10px}summary{cursor:pointer;color:var(--soft)}
footer{margin-top:40px;color:var(--soft);font-size:12.5px}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def pill(holds: bool | None, good: str = "holds", bad: str = "fails", unknown: str = "over all runs") -> str:
    """A coloured word."""
    if holds is None:
        return f'<span class="pill">{escape(unknown)}</span>'
    return f'<span class="pill {"good" if holds else "bad"}">{escape(good if holds else bad)}</span>'


def facts(items: Iterable[tuple[str, str]]) -> str:
    """Figures in boxes: (figure, what it is)."""
    boxes = [f'<div class="fact"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in items]
    return f'<div class="facts">{"".join(boxes)}</div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset()) -> str:
    """A table; cells are HTML already. ``numbers``: the columns that stand to the right."""

    def cell(tag: str, index: int, text: str) -> str:
        return f'<{tag} class="num">{text}</{tag}>' if index in numbers else f"<{tag}>{text}</{tag}>"

    head = "".join(cell("th", index, escape(text)) for index, text in enumerate(heads))
    body = "".join(f"<tr>{''.join(cell('td', i, text) for i, text in enumerate(row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def charts(figures: Iterable[str]) -> str:
    """Charts side by side, as many as fit."""
    shown = [one for one in figures if one]
    return f'<div class="grid2">{"".join(shown)}</div>' if shown else ""


def heading(text: str) -> str:
    """A section."""
    return f"<h2>{escape(text)}</h2>"
