"""Items to codes: text encoder, fusion, residual quantizer, collision resolution, quality report."""
