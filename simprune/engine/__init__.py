"""The resume loop: what is missing is cut into blocks, computed somewhere, and stored as it arrives."""
