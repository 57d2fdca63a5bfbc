"""Programs for those who work on overbar: they write documents and are not installed."""
