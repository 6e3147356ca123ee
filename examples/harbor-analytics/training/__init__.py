"""How the example's model came to be. Needs torch, numpy and tokenizers; running the example needs none of them."""
