"""Candidates for a prompt from several witnesses, and the judge that chooses."""
