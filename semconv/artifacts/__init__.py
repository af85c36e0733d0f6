"""Artifacts: what stages hand to one another on disk, and the only thing they share.

Opening one costs no import of torch; the few readers that return tensors import it when they are called, because
every worker process of a stage that needs no torch would pay seconds for it.
"""

from semconv.artifacts.artifact import Artifact, check_lineage, finish, request_of
from semconv.artifacts.base_model import BaseModel
from semconv.artifacts.blend import Convergence
from semconv.artifacts.corpus import Corpus, Split
from semconv.artifacts.examples import AlignmentExamples
from semconv.artifacts.manifest import Manifest, digest, file_digest
from semconv.artifacts.publish import require_space, staging
from semconv.artifacts.ragged import Ragged
from semconv.artifacts.recommender import Recommender
from semconv.artifacts.report import Report
from semconv.artifacts.run import Run
from semconv.artifacts.snapshot_store import SnapshotStore, located
from semconv.artifacts.tokens import ItemTokens
from semconv.artifacts.topk import TopKSnapshot
from semconv.artifacts.topk_catalogue import CatalogueItem, write_catalogue, write_similar
from semconv.artifacts.topk_shard import NONE, Known
from semconv.artifacts.topk_writer import TopKWriter, stamp_of, users_batch
from semconv.artifacts.vectors import ItemVectors

__all__ = [
    "NONE",
    "AlignmentExamples",
    "Artifact",
    "BaseModel",
    "CatalogueItem",
    "Convergence",
    "Corpus",
    "ItemTokens",
    "ItemVectors",
    "Known",
    "Manifest",
    "Ragged",
    "Recommender",
    "Report",
    "Run",
    "SnapshotStore",
    "Split",
    "TopKSnapshot",
    "TopKWriter",
    "check_lineage",
    "digest",
    "file_digest",
    "finish",
    "located",
    "request_of",
    "require_space",
    "staging",
    "stamp_of",
    "users_batch",
    "write_catalogue",
    "write_similar",
]
