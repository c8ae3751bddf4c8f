"""What every panel stands on: workspace, layer binding, jobs, keys, saving."""
