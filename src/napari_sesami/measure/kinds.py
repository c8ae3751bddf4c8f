"""The table of quantities: what each is called, defined by, and asks of a recipe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """One quantity.

    Attributes
    ----------
    home
        Module of `quantities` and function that measures it.
    definition
        One line for the report.
    needs
        Fields of the measurement that must be given.
    between
        How many classes `between` may name.
    volume
        Whether it is measured in a whole volume, not plane by plane.
    """

    home: tuple[str, str]
    definition: str
    needs: tuple[str, ...] = ("feature",)
    between: tuple[int, ...] = ()
    volume: bool = False


KINDS: dict[str, Quantity] = {
    "cd": Quantity(
        ("upright", "cd"),
        "distance of right and left side across the axis, at shares of the height",
    ),
    "height": Quantity(
        ("upright", "height"), "distance of bottom and top along the axis"
    ),
    "angle": Quantity(
        ("upright", "angle"),
        "angle between the side line (20 to 80 % of the height) and the base; 90° is "
        "upright, more is re-entrant",
    ),
    "tilt": Quantity(
        ("upright", "tilt"), "slope of the line of middles against the axis"
    ),
    "bow": Quantity(
        ("upright", "bow"),
        "2 (MW − (TW + BW) / 2) / (TW + BW) of the widths at 10, 50 and 90 % of the "
        "height",
    ),
    "aspect ratio": Quantity(
        ("upright", "aspect_ratio"), "height over the first CD named in `at`"
    ),
    "pitch": Quantity(
        ("lattice", "pitch"), "distance of the middles of neighbours of the lattice"
    ),
    "pitch walking": Quantity(
        ("lattice", "pitch_walking"),
        "mean of every second pitch minus mean of the others (period 2), or the mean "
        "of each space of four minus the mean of all",
        needs=("feature", "period"),
    ),
    "space": Quantity(
        ("lattice", "space"), "distance of facing sides of neighbours across the axis"
    ),
    "overlay": Quantity(
        ("lattice", "overlay"),
        "distance across of the middles of a feature and the nearest of another",
        needs=("feature", "to"),
    ),
    "level": Quantity(
        ("level", "level"),
        "signed distance of an interface to the origin along the axis, deeper positive",
        needs=("between",),
        between=(2,),
    ),
    "thickness": Quantity(
        ("film", "thickness"),
        "distance of the outer interface along the normal of the inner one",
        needs=("between",),
        between=(2, 3),
    ),
    "diameter": Quantity(("outline", "diameter"), "2 √(A / π) of the fitted outline"),
    "ellipticity": Quantity(
        ("outline", "ellipticity"), "major over minor axis of the fitted ellipse"
    ),
    "area": Quantity(("outline", "area"), "area within the fitted outline"),
    "corner radius": Quantity(
        ("outline", "corner_radius"),
        "radius of the circle through the fitted outline at a corner",
    ),
    "void": Quantity(
        ("void", "void"),
        "area by the grey integral, and its equivalent diameter",
    ),
    "void share": Quantity(
        ("void", "void_share"),
        "area of voids over voids and host",
        needs=("feature", "to"),
    ),
    "bump voids": Quantity(
        ("solder", "bump_voids"),
        "voids of each bump of a volume: share by volume (grey integral) and of the "
        "bump's area as seen along z",
        needs=("feature", "to"),
        volume=True,
    ),
    "via diameter": Quantity(
        ("stacked", "column_diameter"),
        "mean of the equivalent diameters of a column's sections",
        volume=True,
    ),
    "via tilt": Quantity(
        ("stacked", "column_tilt"),
        "lean of the line of middles against z",
        volume=True,
    ),
    "bump diameter": Quantity(
        ("stacked", "column_diameter"),
        "equivalent diameter of the section at mid-height",
        volume=True,
    ),
    "bump height": Quantity(
        ("stacked", "bump_height"),
        "distance along z of the fitted faces at both ends",
        volume=True,
    ),
    "gap": Quantity(
        ("stacked", "gap"),
        "distance along z of two facing planes: mean, range, and warpage (range of the "
        "upper one about its plane)",
        needs=("between",),
        between=(3,),
        volume=True,
    ),
    "misalignment": Quantity(
        ("stacked", "misalignment"),
        "middle of a pillar minus middle of the pad below; of the die by least squares",
        needs=("feature", "to"),
        volume=True,
    ),
    "crack": Quantity(
        ("stacked", "crack"),
        "share of a bump's section that a crack takes as seen along z, and its area",
        needs=("feature", "to"),
        volume=True,
    ),
    "wire diameter": Quantity(
        ("bond", "wire_diameter"), "median of the local widths of a wire's labels"
    ),
    "wire sweep": Quantity(
        ("bond", "wire_sweep"),
        "largest distance of a wire from its chord over the chord; chord and arc",
    ),
    "wedge": Quantity(
        ("bond", "wedge"),
        "width and length along the wire; with `to` also in wire diameters",
    ),
    "ball": Quantity(
        ("bond", "ball"),
        "diameter of the ellipse through a ball's outline, and major over minor axis; "
        "with `to` also in wire diameters",
    ),
    "ball offset": Quantity(
        ("bond", "ball_offset"),
        "middle of a ball minus middle of its pad, distance of their edges, share of "
        "the ball on the pad",
        needs=("feature", "to"),
    ),
    "clearance": Quantity(
        ("bond", "clearance"), "distance from a wire to the nearest other one"
    ),
    "ler": Quantity(
        ("rough", "ler"),
        "3 s of an edge about its straight line, noise taken off",
    ),
    "lwr": Quantity(("rough", "lwr"), "3 s of the local width, noise taken off"),
    "lpr": Quantity(("rough", "lpr"), "3 s of the local middle, noise taken off"),
    "caliper": Quantity(
        ("caliper", "caliper"),
        "distance along a line drawn by hand of the edges nearest to its ends",
        needs=("ends",),
    ),
    "lcdu": Quantity(
        ("outline", "lcdu"),
        "3 s of the diameters of a field about a slow trend, measuring noise taken off",
    ),
}
"""Name of a quantity in a recipe to what it is."""
