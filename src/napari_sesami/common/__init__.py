"""Small tools that every room stands on: cancelling, atomic writing, folders."""
