"""What tests share: small models, files, recipes, and hands that click."""
