"""The ledger for reading: terminal table, LaTeX and Markdown."""
