"""A table of the report as HTML."""

from __future__ import annotations

from html import escape

from semconv.evaluation.labels import system_family, system_label
from semconv.evaluation.tables import Cell, Table


def html_table(table: Table) -> str:
    """The table under its title, in a box that scrolls where the page is narrower."""
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in table.head)
    rows = "".join(
        f'<tr><th scope="row" class="{system_family(name)}">{escape(system_label(name))}</th>'
        f"{''.join(map(_cell, cells))}</tr>"
        for name, cells in table.rows
    )
    title = escape(table.title)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{title}"><table><caption>{title}</caption>'
        f'<thead><tr><th scope="col">System</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def signed_range(low: float, high: float) -> str:
    """An interval; in words where a minus sign would meet a dash."""
    return f"{_signed(low)} to {_signed(high)}" if low < 0 else f"{low:.4f}&ndash;{high:.4f}"


def _cell(cell: Cell) -> str:
    text = escape(cell.text).replace("-", "&minus;") if cell.interval else escape(cell.text)
    interval = f"<small>{signed_range(*cell.interval)}</small>" if cell.interval else ""
    return f"<td>{f'<b>{text}</b>' if cell.best else text}{interval}</td>"


def _signed(value: float) -> str:
    return f"{value:.4f}".replace("-", "&minus;")
