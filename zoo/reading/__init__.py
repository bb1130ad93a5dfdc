"""What users hand in: lists, tables and arrays, read strictly."""
