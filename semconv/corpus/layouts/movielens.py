"""MovieLens (Harper & Konstan 2015): the CSV releases, and the ``::`` files of 1M."""

from semconv.corpus.layouts.layout import Files, Layout

_RATINGS = ("userId", "movieId", "rating", "timestamp")
_RATING_COLUMNS = {"user_id": "userId", "item_id": "movieId", "rating": "rating", "timestamp": "timestamp"}
_MOVIE_COLUMNS = {"item_id": "movieId", "title": "title", "categories": "genres"}

MOVIELENS = Layout(
    name="movielens",
    interactions=(
        Files(("ratings.csv", "ratings.csv.gz"), _RATING_COLUMNS, "csv"),
        Files(("ratings.dat", "ratings.dat.gz"), _RATING_COLUMNS, "double_colon", _RATINGS, encoding="latin-1"),
    ),
    items=(
        Files(("movies.csv", "movies.csv.gz"), _MOVIE_COLUMNS, "csv"),
        Files(
            ("movies.dat", "movies.dat.gz"),
            _MOVIE_COLUMNS,
            "double_colon",
            ("movieId", "title", "genres"),
            encoding="latin-1",
        ),
    ),
    time_unit="s",
    category_separator="|",
)
