"""One input file: what it is, which of its columns are ours, and whether its first record says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from semconv.config import CorpusSettings
from semconv.corpus.layouts import LAYOUTS, Files, Format, Layout
from semconv.corpus.peek import first_lines, names_in, parquet_names
from semconv.errors import InputError, SettingError

_DELIMITERS = (",", ";", "\t", "|")
_NEEDED = ("user_id", "item_id", "timestamp", "position")
_OUR_COLUMNS = (*_NEEDED, "rating", "title", "brand", "description", "categories", "invoice", "quantity")
_FORMATS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".dat": "double_colon",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Source:
    """A file that was found and whose first record fits; all that a reader of its rows needs.

    ``columns`` maps our names to the file's; ``names`` are all columns of the first record; ``header`` says whether
    the first line of a CSV file is a header.
    """

    path: str
    name: str
    format: Format
    columns: Mapping[str, str]
    names: tuple[str, ...]
    header: bool
    delimiter: str
    encoding: str


def layout_of(settings: CorpusSettings) -> Layout:
    """The layout that ``corpus.reader`` names."""
    return LAYOUTS[settings.reader]


def find_interactions(settings: CorpusSettings) -> list[Source]:
    """The interaction files of ``corpus.path``; raises `InputError` where there is none or one does not fit."""
    layout = layout_of(settings)
    sources = _find(settings, layout.interactions, settings.interactions, "interactions")
    needed = [*(("invoice", "quantity") if layout.invoices else ()), *(("title",) if _derives_items(settings) else ())]
    for source in sources:
        _require(source, ("user_id",), settings)
        _require(source, ("item_id",), settings)
        _require(source, ("timestamp", "position"), settings)
        for column in needed:
            _require(source, (column,), settings)
    if len({"timestamp" in source.columns for source in sources}) > 1:
        timed = next(source.name for source in sources if "timestamp" in source.columns)
        untimed = next(source.name for source in sources if "timestamp" not in source.columns)
        raise InputError(
            f"{timed} has timestamps and {untimed} has not", "Give files that are all ordered in the same way"
        )
    return sources


def find_items(settings: CorpusSettings) -> list[Source]:
    """The catalogue files of ``corpus.path``; empty where the layout derives its catalogue from the interactions."""
    if _derives_items(settings):
        return []
    layout = layout_of(settings)
    sources = _find(settings, layout.items or LAYOUTS["native"].items, settings.items, "items")
    for source in sources:
        _require(source, ("item_id",), settings)
    return sources


def _derives_items(settings: CorpusSettings) -> bool:
    return not layout_of(settings).items and settings.items is None


def input_folder(settings: CorpusSettings) -> Path:
    """``corpus.path`` as an existing folder."""
    if settings.path is None:
        raise SettingError(
            f"corpus.path is not set, and the reader {settings.reader} needs input",
            "Give --corpus.path FOLDER, or --corpus.reader synthetic for the built-in shop",
        )
    folder = Path(settings.path)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"The input folder {folder} {what}", "Set corpus.path to the folder that holds the input")
    return folder


def _find(settings: CorpusSettings, ways: Sequence[Files], pattern: str | None, table: str) -> list[Source]:
    folder = input_folder(settings)
    if pattern is not None:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        chosen = [_way_for(path, ways) for path in paths]
    else:
        way, paths = _first_match(folder, ways)
        chosen = [way] * len(paths)
    if not paths:
        wanted = pattern or " or ".join(pattern for way in ways for pattern in way.patterns)
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise InputError(
            f"The input folder {folder} has no {wanted} (it holds {found})",
            f"Set corpus.path to another folder, or corpus.{table} to the file's name",
        )
    mapping = _mapping(settings, table)
    return [_source(path, folder, way, mapping, settings) for path, way in zip(paths, chosen, strict=True)]


def _mapping(settings: CorpusSettings, table: str) -> dict[str, str]:
    """``corpus.columns`` for one table: a plain name counts for both, ``items.NAME`` for one alone."""
    mapping = {}
    for key, theirs in settings.columns.items():
        only, _, name = key.rpartition(".")
        if name not in _OUR_COLUMNS or only not in ("", "items", "interactions"):
            raise SettingError(
                f"corpus.columns maps '{key}', which is none of our columns",
                f"Use one of {', '.join(_OUR_COLUMNS)}, plain or after 'items.' or 'interactions.'",
            )
        if only in ("", table):
            mapping[name] = theirs
    return mapping


def _first_match(folder: Path, ways: Sequence[Files]) -> tuple[Files, list[Path]]:
    for way in ways:
        for pattern in way.patterns:
            paths = sorted(path for path in folder.glob(pattern) if path.is_file())
            if paths:
                return way, paths
    return ways[0], []


def _format_of(path: Path) -> Format | None:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    return _FORMATS.get(suffixes[-1].lower()) if suffixes else None


def _way_for(path: Path, ways: Sequence[Files]) -> Files:
    """The way whose format the file's name tells; else the first."""
    form = _format_of(path)
    return next((way for way in ways if way.format == form), ways[0])


def _source(path: Path, folder: Path, way: Files, mapping: Mapping[str, str], settings: CorpusSettings) -> Source:
    form = way.format or _format_of(path)
    if form is None:
        raise InputError(
            f"{path} has no known format", f"Give it a name that ends in one of {', '.join(_FORMATS)}, plain or .gz"
        )
    encoding = settings.encoding or way.encoding or "utf-8"
    delimiter = settings.delimiter or ","
    lines: list[str] = []
    if form == "parquet":
        names = parquet_names(path)
    else:
        lines = first_lines(path, encoding)
        if not lines:
            raise InputError(f"{path} is empty", "Give a file with at least one row")
        names = names_in(path, lines[0], form, way, delimiter)
    columns = dict(way.columns)
    for ours, theirs in mapping.items():
        # The mapping is for both tables: where a file has no column of that name, its own name stands.
        if theirs in names or (ours in columns and columns[ours] not in names):
            columns[ours] = theirs
    if form == "csv" and not way.header and len(lines) == 1:
        raise InputError(f"{path} is empty but for its header ({lines[0][:60]})", "Give a file with at least one row")
    # A JSON line may leave out what it does not have, so only a file with fixed columns can lack one for good.
    fixed = form in ("csv", "parquet", "double_colon")
    columns = {ours: theirs for ours, theirs in columns.items() if theirs in names or not (fixed or ours in _NEEDED)}
    return Source(
        path=str(path.absolute()),
        name=path.relative_to(folder).as_posix(),
        format=form,
        columns=columns,
        names=names,
        header=not way.header,
        delimiter=delimiter,
        encoding=encoding,
    )


def _require(source: Source, any_of: tuple[str, ...], settings: CorpusSettings) -> None:
    if any(name in source.columns for name in any_of):
        return
    wanted = " or ".join(any_of)
    found = ", ".join(source.names)
    hint = f'Map it with corpus.columns, as in --corpus.columns \'{{"{any_of[0]}": "NAME"}}\''
    if source.format == "csv" and len(source.names) == 1:
        other = [d for d in _DELIMITERS if d != source.delimiter and d in source.names[0]]
        if other:
            hint = f"The file looks delimited by {other[0]!r}: set corpus.delimiter to it"
    layout = layout_of(settings)
    theirs = {
        way.columns[name] for way in (*layout.interactions, *layout.items) for name in any_of if name in way.columns
    }
    expected = "" if theirs <= set(any_of) else f" ({', '.join(sorted(theirs))} in this layout)"
    raise InputError(f"{source.path}, line 1: there is no column {wanted}{expected}; found: {found}", hint)
