"""What people hand in: lists, tables and arrays, read strictly."""
