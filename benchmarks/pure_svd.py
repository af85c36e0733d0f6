"""A space of behaviour that no index was fitted on: truncated SVD of who bought what in training.

PureSVD (Cremonesi, Koren & Turrin 2010), with users and items normalised by the roots of their counts, as in spectral
clustering of a bipartite graph (Dhillon 2001): else the largest directions say how popular an item is.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import svds

from semconv.artifacts import Corpus
from semconv.tokens.index_report import Space

COMPONENTS = 64


def pure_svd(corpus: Corpus, seed: int) -> Space:
    """Vectors of the items, float32 (N, `COMPONENTS` or fewer), and which have training interactions.

    One item, one user or no training interactions leave no directions: zeros (N, 1) then, and no item has a vector.
    """
    training = corpus.training()
    users = np.repeat(np.arange(len(training)), np.diff(training.offsets))
    shape = (len(training), corpus.n_items)
    few = min(COMPONENTS, min(shape) - 1)
    if few < 1 or not len(users):
        return Space(torch.zeros(corpus.n_items, 1), torch.zeros(corpus.n_items, dtype=torch.bool))
    bought = sparse.csr_array((np.ones(len(users)), (users, training.values)), shape=shape)
    bought.data[:] = 1.0
    by_user, by_item = (np.maximum(np.asarray(bought.sum(axis=axis)).ravel(), 1.0) ** -0.5 for axis in (1, 0))
    scaled = sparse.diags_array(by_user) @ bought @ sparse.diags_array(by_item)
    _, strengths_P, axes_PN = svds(scaled, k=few, rng=np.random.default_rng(seed))
    vectors_NP = torch.from_numpy(np.ascontiguousarray((axes_PN * strengths_P[:, None]).T)).float()
    return Space(vectors_NP, torch.from_numpy(np.bincount(training.values, minlength=corpus.n_items) > 0))
