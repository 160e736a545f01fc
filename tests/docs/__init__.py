"""References that are made of the code: each page has a writer here, ``make docs`` writes them, tests hold them."""
