"""Colour images of wire bonds, as an optical inspection sees them."""
