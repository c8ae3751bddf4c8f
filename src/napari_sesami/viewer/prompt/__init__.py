"""The page of clicks, boxes, lassos and strokes on objects."""
