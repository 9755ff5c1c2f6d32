"""Sprites, hands, textures and their compositing."""

import numpy as np
import pytest

from gasm_cast.minidata import catalogue
from gasm_cast.minidata.compositing import darken, paste, smeared, soft_mask
from gasm_cast.minidata.hands import Grip, Person, hand_sprites
from gasm_cast.minidata.materials import Light
from gasm_cast.minidata.sprites import object_sprite, rolling_sprite
from gasm_cast.minidata.textures import TABLES, WALLS, table_picture, wall_picture

LIGHT = Light(np.array([0.4, -0.3, 0.866], np.float32), 0.6, np.ones(3, np.float32))
STAY = np.array([[1.0, 0, 0], [0, 1, 0]])


def square(colour: tuple[int, int, int], alpha: int) -> np.ndarray:
    picture = np.empty((4, 4, 4), np.uint8)
    picture[..., :3] = np.array(colour) * alpha // 255
    picture[..., 3] = alpha
    return picture


def test_paste_lays_pixels_exactly_and_mixes_by_alpha() -> None:
    frame = np.full((10, 12, 3), 100, np.float32)
    place = STAY.copy()
    place[:, 2] = (3, 2)
    paste(frame, square((200, 0, 50), 255), place, (0.0, 0.0))
    assert frame[2:6, 3:7] == pytest.approx(np.broadcast_to([200, 0, 50], (4, 4, 3)))
    assert np.all(frame[:2] == 100)
    assert np.all(frame[6:] == 100)
    half = np.full((10, 12, 3), 100, np.float32)
    paste(half, square((200, 0, 50), 51), place, (0.0, 0.0))
    assert half[3, 4] == pytest.approx([100 * 0.8 + 40, 80, 90], abs=1)


@pytest.mark.parametrize("offset", [(-9, 0), (0, -9), (40, 0), (0, 40)])
def test_picture_outside_the_frame_changes_nothing(offset: tuple[int, int]) -> None:
    frame = np.full((10, 12, 3), 100, np.float32)
    place = STAY.copy()
    place[:, 2] = offset
    paste(frame, square((200, 0, 50), 255), place, (0.0, 0.0))
    darken(frame, np.full((4, 4), 255, np.uint8), place, 0.5)
    assert np.all(frame == 100)


def test_darken_takes_off_its_strength() -> None:
    frame = np.full((10, 12, 3), 100, np.float32)
    darken(frame, np.full((12, 14), 255, np.uint8), STAY, 0.3)
    np.testing.assert_allclose(frame[1:9, 1:11], 70, rtol=1e-4)


def test_smear_spreads_along_its_way_and_keeps_the_sum() -> None:
    picture = np.zeros((21, 21, 4), np.uint8)
    picture[10, 10] = 252
    spread = smeared(picture, (8.0, 0.0))
    assert (spread[..., 3] > 0).any(1).sum() == 1
    assert (spread[10, :, 3] > 0).sum() == 9
    assert spread[..., 3].sum() == pytest.approx(252, abs=9)
    assert smeared(picture, (0.5, 0.5)) is picture


def test_soft_mask_has_room_for_its_blur() -> None:
    mask, room = soft_mask(np.full((10, 10), 255, np.uint8), 2.0)
    assert mask.shape == (10 + 2 * room, 10 + 2 * room)
    assert mask[0].max() < 3
    assert mask[room + 5, room + 5] > 240


def test_container_has_a_front_that_is_part_of_it() -> None:
    sprite = object_sprite(
        catalogue.item(0, "cup", 0).thing, LIGHT, pitch_rad=0.5, yaw_rad=0.0, px_per_m=500.0
    )
    assert sprite.front is not None
    front, whole = sprite.front[..., 3] > 0, sprite.picture[..., 3] > 0
    assert 0.2 < front.sum() / whole.sum() < 0.95
    assert not np.any(front & ~whole)
    rows = np.flatnonzero(front.any(1))
    assert rows.min() > np.flatnonzero(whole.any(1)).min()  # the far rim is not in front
    solid = object_sprite(
        catalogue.item(0, "can", 0).thing, LIGHT, pitch_rad=0.5, yaw_rad=0.0, px_per_m=500.0
    )
    assert solid.front is None


def test_lit_side_is_the_brighter_one() -> None:
    egg = catalogue.item(0, "egg", 0).thing
    light = Light(np.array([0.8, -0.2, 0.56], np.float32), 0.7, np.ones(3, np.float32))
    picture = object_sprite(egg, light, pitch_rad=0.5, yaw_rad=0.0, px_per_m=900.0).picture.astype(float)
    middle = picture.shape[1] // 2
    left, right = picture[:, :middle], picture[:, middle:]
    assert right[..., :3].sum() / right[..., 3].sum() > 1.1 * left[..., :3].sum() / left[..., 3].sum()


def test_rolling_turns_colours_inside_an_unchanged_outline() -> None:
    rolling = rolling_sprite(catalogue.item(0, "orange", 0).thing, LIGHT, pitch_rad=0.5, px_per_m=700.0)
    start, turned, round_once = (rolling.turned(angle).picture for angle in (0.0, 1.0, 2 * np.pi))
    np.testing.assert_array_equal(start[..., 3], turned[..., 3])
    assert np.abs(start[..., :3].astype(int) - turned[..., :3]).max() > 40
    assert np.abs(start[..., :3].astype(int) - round_once[..., :3]).mean() < 2


@pytest.mark.parametrize("grip", ["grasp", "pinch", "flat", "point"])
def test_hands_close_and_have_something_in_front(grip: Grip) -> None:
    person = Person.draw(np.random.default_rng(2))
    opened, closed = (
        hand_sprites(person, grip, c, LIGHT, mirrored=False, turned_rad=0.0) for c in (0.0, 1.0)
    )
    for sprites in (opened, closed):
        area = (sprites.behind.picture[..., 3] > 0).sum()
        assert 0 < (sprites.front.picture[..., 3] > 0).sum() < 0.3 * area
    assert opened.behind.picture.shape != closed.behind.picture.shape


def test_other_hand_is_the_mirror_image_in_outline() -> None:
    person = Person.draw(np.random.default_rng(2))
    one, other = (hand_sprites(person, "flat", 1.0, LIGHT, mirrored=m, turned_rad=0.0) for m in (False, True))
    np.testing.assert_array_equal(one.behind.picture[::-1, :, 3], other.behind.picture[..., 3])
    height = one.behind.picture.shape[0]
    assert one.behind.anchor[1] + other.behind.anchor[1] == pytest.approx(height)


def test_bare_skin_keeps_its_colour_and_sleeves_theirs() -> None:
    skin = np.array([0.8, 0.6, 0.5], np.float32)
    sleeve = np.array([[0.1, 0.2, 0.8], [0.1, 0.2, 0.8]], np.float32)
    bare = Person(skin, None, 0.05, 1.0, 1)
    dressed = Person(skin, sleeve, 0.05, 1.0, 1)
    pictures = [
        hand_sprites(person, "flat", 1.0, LIGHT, mirrored=False, turned_rad=0.0).behind.picture
        for person in (bare, dressed)
    ]
    row = pictures[0].shape[0] // 2
    for picture in pictures:
        red, _, blue, _ = picture[row, -60].astype(int)  # on the hand
        assert red > blue
    red, _, blue, _ = pictures[1][row, 40].astype(int)  # on the forearm
    assert blue > red


@pytest.mark.parametrize("kind", TABLES)
def test_tables_differ_by_variant_and_seed(kind: str) -> None:
    one, other = table_picture(0, kind, 0), table_picture(0, kind, 1)
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).mean() > 3
    assert np.abs(one.astype(int) - table_picture(1, kind, 0)).mean() > 3
    assert one.std() > 1


@pytest.mark.parametrize("kind", WALLS)
def test_walls_are_repeatable(kind: str) -> None:
    first = wall_picture(0, kind, 0)
    wall_picture.cache_clear()
    np.testing.assert_array_equal(first, wall_picture(0, kind, 0))
