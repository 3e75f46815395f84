"""Personal values of data subjects: how they are erased, with receipts and records."""
