"""What the LLM is taught: alignment tasks, prompt templates, packing, the exact sampler."""
