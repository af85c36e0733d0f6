"""The language model: loading it, extending its vocabulary, the compact form, the trie and the constrained search."""
