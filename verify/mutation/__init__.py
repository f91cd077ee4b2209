"""Wrong formulas in place of the registered ones: which checks notice, and by which kind of evidence."""
