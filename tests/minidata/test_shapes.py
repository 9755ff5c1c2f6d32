import numpy as np
import pytest

from gasm_cast.minidata import catalogue
from gasm_cast.minidata.shapes import (
    box,
    capsule,
    ellipsoid,
    minus,
    revolved,
    rotation_x,
    rotation_z,
    smooth_union,
    trace,
    union,
)
from gasm_cast.minidata.things import filled, upside_down


def at(*points: tuple[float, float, float]) -> np.ndarray:
    return np.array(points, np.float32).T


def test_signed_distances_of_simple_solids() -> None:
    points = at((0, 0, 0), (2, 0, 0), (0, 3, 0))
    np.testing.assert_allclose(ellipsoid([1, 1, 1], [0, 0, 0])(points)[1:], [1, 2], rtol=1e-5)
    np.testing.assert_allclose(box([1, 1, 1], [0, 0, 0])(points), [-1, 1, 2], rtol=1e-5)
    np.testing.assert_allclose(capsule([0, 0, 0], [1, 0, 0], 0.5, 0.5)(points), [-0.5, 0.5, 2.5], rtol=1e-5)


def test_solid_of_revolution_is_hollow_where_it_was_cut() -> None:
    cup = minus(revolved([0, 1], [1, 1]), revolved([0.2, 2], [0.8, 0.8]))
    inside_wall, hollow, floor = cup(at((0.9, 0, 0.5), (0, 0, 0.5), (0, 0, 0.1)))
    assert inside_wall < 0 < hollow
    assert floor < 0


def test_smooth_union_adds_to_the_seam_only() -> None:
    one, other = ellipsoid([1, 1, 1], [-0.8, 0, 0]), ellipsoid([1, 1, 1], [0.8, 0, 0])
    seam, far = at((0, 0.7, 0)), at((-1.9, 0, 0))
    assert smooth_union(0.5, one, other)(seam)[0] < union(one, other)(seam)[0]
    assert smooth_union(0.5, one, other)(far)[0] == pytest.approx(union(one, other)(far)[0])


@pytest.mark.parametrize("pitch", [0.0, 0.5, 1.2])
def test_traced_sphere_covers_its_disc_and_faces_outwards(pitch: float) -> None:
    r = 0.05
    surface = trace(
        ellipsoid([r, r, r], [0, 0, r]),
        (r, r, 2 * r),
        pitch_rad=pitch,
        rotation=rotation_z(0.3),
        px_per_m=1000.0,
    )
    assert len(surface.index) == pytest.approx(np.pi * (r * 1000) ** 2, rel=0.02)
    outwards = (rotation_z(0.3) @ (surface.position - at((0, 0, r)))) / r
    assert np.median((outwards * surface.normal).sum(0)) > 0.995
    rows, cols = surface.index // surface.size[1], surface.index % surface.size[1]
    assert cols.mean() == pytest.approx(surface.anchor[0], abs=0.6)
    assert surface.anchor[1] - rows.mean() == pytest.approx(r * np.cos(pitch) * 1000, abs=1.0)


def test_tilt_towards_the_camera_shows_the_top() -> None:
    flat = box([0.05, 0.05, 0.002], [0, 0, 0.002])
    options = {"pitch_rad": 0.2, "px_per_m": 1000.0, "pivot_z": 0.002}
    lying = trace(flat, (0.05, 0.05, 0.004), rotation=rotation_x(0.0), **options)
    facing = trace(flat, (0.05, 0.05, 0.004), rotation=rotation_x(1.2), **options)
    assert len(facing.index) > 3 * len(lying.index)


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_every_kind_fits_the_box_that_it_promises(kind: str) -> None:
    thing = catalogue.item(0, kind, 1).thing
    x, y, z = thing.extent
    rng = np.random.default_rng(0)
    points = rng.uniform([-1.6 * x, -1.6 * y, -0.6 * z], [1.6 * x, 1.6 * y, 1.6 * z], (60_000, 3))
    inside = thing.solid(points.T.astype(np.float32)) < 0
    assert inside.any()
    slack = 0.004
    assert np.all(np.abs(points[inside, 0]) <= x + slack)
    assert np.all(np.abs(points[inside, 1]) <= y + slack)
    assert np.all((points[inside, 2] >= -slack) & (points[inside, 2] <= z + slack))


def test_upside_down_opens_downwards() -> None:
    bowl = catalogue.item(0, "bowl", 0).thing
    turned = upside_down(bowl)
    middle = at((0, 0, bowl.height * 0.5), (0, 0, bowl.height * 0.02), (0, 0, bowl.height * 0.98))
    assert np.all((bowl.solid(middle) < 0) == [False, True, False])
    assert np.all((turned.solid(middle) < 0) == [False, False, True])
    assert turned.opening is None


def test_variants_of_a_kind_differ_and_are_repeatable() -> None:
    names = {catalogue.item(0, "mug", variant).thing.extent for variant in range(6)}
    assert len(names) == 6
    first = catalogue.item(3, "duck", 2).thing
    catalogue.item.cache_clear()
    assert catalogue.item(3, "duck", 2).thing.extent == first.extent
    assert catalogue.item(4, "duck", 2).thing.extent != first.extent


def test_filled_container_holds_its_content_on_the_floor() -> None:
    bowl, egg = catalogue.item(0, "bowl", 0).thing, catalogue.item(0, "egg", 0).thing
    both = filled(bowl, egg)
    assert bowl.opening is not None
    middle = at((0, 0, bowl.opening.floor + egg.height / 2))
    assert bowl.solid(middle)[0] > 0 > both.solid(middle)[0]
    np.testing.assert_array_equal(
        both.material.pattern(middle), egg.material.pattern(at((0, 0, egg.height / 2)))
    )
    wall = at((bowl.half_width * 0.99, 0, bowl.height * 0.97))
    np.testing.assert_array_equal(both.material.pattern(wall), bowl.material.pattern(wall))
    with pytest.raises(ValueError, match="only a container"):
        filled(egg, bowl)
