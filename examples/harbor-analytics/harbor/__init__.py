"""Harbor Analytics: warehouse incident reports in, strict JSON out."""
