"""The page of a folder of scans: propose, review, retrain."""
