"""Scripts that measure: how fast lowered networks are, side by side with what they replace."""
