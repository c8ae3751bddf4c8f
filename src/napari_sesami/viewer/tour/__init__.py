"""The tour: five balloons, from the first click to a table of objects."""
