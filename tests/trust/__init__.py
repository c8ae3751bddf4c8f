"""What is promised of files that somebody else made, and of what they may do."""
