"""The committed objects as a table: jump, recolour, merge, split, delete, export."""
