"""Recipe `semi`: a segmenter from few labelled pictures and many without labels."""
