"""Languages: catalogues, dates and transliteration."""
