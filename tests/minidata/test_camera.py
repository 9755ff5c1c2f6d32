import numpy as np
import pytest

from gasm_cast.minidata.camera import Camera, CameraMove, film


def camera(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Camera:
    return Camera(np.array([0.0, -1.0, 0.0]), yaw, pitch, roll, 300.0, 320, 240)


def test_point_ahead_lies_in_the_middle() -> None:
    assert camera().project(np.zeros(3)) == pytest.approx((160, 120, 1.0))


def test_right_is_right_and_up_is_up() -> None:
    u, v, _ = camera().project(np.array([0.1, 0, 0.2]))
    assert (u, v) == pytest.approx((190, 60))


def test_turning_the_camera_moves_the_picture_the_other_way() -> None:
    assert camera(yaw=0.1).project(np.zeros(3))[0] < 160
    assert camera(pitch=0.1).project(np.zeros(3))[1] < 120


def test_axes_are_a_right_handed_rotation() -> None:
    axes = camera(yaw=0.3, pitch=0.5, roll=-0.2).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_plane_homography_agrees_with_projection() -> None:
    tilted = camera(yaw=0.2, pitch=0.4, roll=0.1)
    origin, along, across = np.array([0.1, 0.2, -0.1]), np.array([0.5, 0, 0]), np.array([0, 0.3, 0.1])
    mapped = tilted.plane(origin, along, across) @ [0.7, -0.4, 1]
    direct = tilted.project(origin + 0.7 * along - 0.4 * across)
    assert tuple(mapped[:2] / mapped[2]) == pytest.approx(direct[:2])


def test_approaching_makes_things_larger() -> None:
    times = np.arange(24) / 12
    move = CameraMove(np.linspace(0, 0.3, 24), np.zeros(24), np.zeros(24))
    path = film(np.random.default_rng(0), times, move, width_px=320, height_px=240)
    target = np.zeros(3)
    assert path.at(23).project(target)[2] < path.at(0).project(target)[2] - 0.2


def test_hand_held_camera_shakes_but_little() -> None:
    times = np.arange(48) / 12
    path = film(np.random.default_rng(3), times, CameraMove.still(48), width_px=320, height_px=240)
    points = np.array([path.at(i).project(np.zeros(3))[:2] for i in range(48)])
    assert 0.2 < np.ptp(points, axis=0).max() < 40
