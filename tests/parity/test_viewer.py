"""The viewer page in a real browser: what it shows, what its controls do, and its pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from selenium.webdriver.support.ui import WebDriverWait

from blockcore.commands.cli import main
from blockcore.io.png import decode
from blockcore.model.camera import Camera, look_at, orthographic
from blockcore.model.grid import BlockGrid
from blockcore.model.scene import BlockScene, View
from blockcore.shading.frames import draw, frame_colors
from blockcore.viewer import write_viewer
from blockcore.visibility import rasterize
from tests.captures import captured, dataset_path, map_path
from tests.packs import turned_world
from tests.parity.browser import browser, call, open_page, read_picture, settle
from tests.parity.comparison import Tally
from tests.parts import need
from tests.unit.test_baked_light import a_cube_display, lit_scene


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    need("chromium")
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Pages of the maps with their datasets, made by the command line when first asked for."""
    folder = tmp_path_factory.mktemp("pages")

    def page(number: int) -> Path:
        path = folder / f"{number}.html"
        if not path.exists():
            arguments = ["--map", str(map_path(number)), "--dataset", str(dataset_path(number)), "--out", str(path)]
            assert main(["view", *arguments]) == 0
        return path

    return page


def screenshot(driver: Any, path: Path) -> npt.NDArray[np.uint8]:
    """Takes a picture of the window; it stays in ``path`` to be looked at."""
    settle(driver)
    driver.save_screenshot(str(path))
    return decode(path.read_bytes())


def click(driver: Any, selector: str) -> None:
    driver.find_element("css selector", selector).click()
    settle(driver)


def pressed(driver: Any, selector: str) -> bool:
    return driver.find_element("css selector", selector).get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(("number", "least"), [(1, 0.9999), (2, 0.9999), (4, 0.9999), (3, 0.998)])
def test_pixels_match_at_four_subpixel_bits(
    driver: Any,
    pages: Callable[[int], Path],
    tmp_path: Path,
    number: int,
    least: float,
    record_property: Callable[[str, object], None],
) -> None:
    scene = captured(number)
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    open_page(driver, pages(number))
    tally = Tally(tmp_path, most=100_000)
    for k, view in enumerate(scene.views):
        assert call(driver, f"viewer.goTo({k})") is None
        (seen,) = rasterize(faces, [view.camera], "cpu", subpixel_bits=4)
        tally.add(scene, k, draw(seen, view.camera, colors, snapped_bits=4), read_picture(driver))
    print(tally)
    record_property("parity", str(tally))
    assert tally.equal >= least, str(tally)


def test_a_packs_blocks_show_the_same_texels_in_all_turns(driver: Any, tmp_path: Path) -> None:
    scene = turned_world(tmp_path / "pack.zip")
    write_viewer(tmp_path / "turned.html", scene, "turned")
    open_page(driver, tmp_path / "turned.html")
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    for k, view in enumerate(scene.views):
        assert call(driver, f"viewer.goTo({k})") is None
        (seen,) = rasterize(faces, [view.camera], "cpu")
        shown = seen.face >= 0
        assert shown.sum() == 64 * len(scene.grid)
        ours = draw(seen, view.camera, colors)[..., :3].astype(int)
        assert np.abs(ours - read_picture(driver)[..., :3])[shown].max() <= 1, view.camera.name


@pytest.mark.parametrize(("side", "tiles"), [(1, False), (3, False), (2, True)])
def test_light_of_every_face_shows_as_frames_show_it(driver: Any, tmp_path: Path, side: int, tiles: bool) -> None:
    scene = lit_scene(side, a_cube_display(), tiles)
    write_viewer(tmp_path / "lit.html", scene, "lit")
    open_page(driver, tmp_path / "lit.html")
    faces = scene.grid.exposed_faces
    colors = frame_colors(faces, scene.materials, scene.palette, scene.lighting)
    tally = Tally(tmp_path, most=100_000)
    for k, view in enumerate(scene.views):
        assert call(driver, f"viewer.goTo({k})") is None
        (seen,) = rasterize(faces, [view.camera], "cpu", subpixel_bits=4)
        tally.add(scene, k, draw(seen, view.camera, colors, snapped_bits=4), read_picture(driver))
    assert tally.equal >= 0.999, str(tally)


@pytest.mark.alone
def test_the_hills_open_fast_and_are_small(
    driver: Any, pages: Callable[[int], Path], record_property: Callable[[str, object], None]
) -> None:
    page = pages(2)
    assert page.stat().st_size < 6_000_000
    began = time.perf_counter()
    open_page(driver, page)
    seconds = time.perf_counter() - began
    record_property("open", f"{seconds:.2f} s, {page.stat().st_size} bytes")
    assert seconds < 3.0
    assert "88,767 blocks" in driver.find_element("id", "counts").text


def test_nothing_is_fetched_and_nothing_complains(driver: Any, pages: Callable[[int], Path]) -> None:
    driver.get_log("browser")
    open_page(driver, pages(3))
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert driver.get_log("browser") == []


def test_a_click_switches_the_picture(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    open_page(driver, pages(1))
    render = screenshot(driver, tmp_path / "render.png")
    click(driver, "[data-mode=target]")
    target = screenshot(driver, tmp_path / "target.png")
    assert pressed(driver, "[data-mode=target]")
    stage = np.s_[:, :900]  # left of the controls
    # the target was drawn with finer vertices: a few pixels differ, and the canvas enlarges them
    assert (np.abs(render[stage].astype(int) - target[stage]).max(axis=-1) > 1).mean() < 0.01
    click(driver, "[data-mode=difference]")
    difference = screenshot(driver, tmp_path / "difference.png")
    assert (np.abs(render[stage].astype(int) - difference[stage]).max(axis=-1) > 20).mean() > 0.5
    click(driver, "[data-mode=render]")
    np.testing.assert_array_equal(screenshot(driver, tmp_path / "again.png")[stage], render[stage])


def test_the_cameras_can_be_walked_through(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    open_page(driver, pages(1))
    first = screenshot(driver, tmp_path / "first.png")
    click(driver, "#next")
    second = screenshot(driver, tmp_path / "second.png")
    assert driver.find_element("id", "camera").get_property("value") == "1"
    assert (first != second).any(axis=-1).mean() > 0.1
    click(driver, "#previous")
    click(driver, "#previous")
    assert driver.find_element("id", "camera").get_property("value") == "7"


def test_a_material_is_highlighted(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    open_page(driver, pages(1))
    before = read_picture(driver)
    click(driver, "#legend button")
    assert pressed(driver, "#legend button")
    screenshot(driver, tmp_path / "highlight.png")
    scene = captured(1)
    view = scene.views[0]
    most_used = int(np.bincount(scene.materials).argmax())
    (seen,) = rasterize(scene.grid.exposed_faces, [view.camera], "cpu", subpixel_bits=4)
    material = np.append(scene.materials[scene.grid.exposed_faces.block], -1)[seen.face]
    kept = (read_picture(driver) == before).all(axis=-1)
    assert kept[material == most_used].mean() > 0.999
    assert kept[(material >= 0) & (material != most_used)].mean() < 0.01
    click(driver, "#legend button")
    np.testing.assert_array_equal(read_picture(driver), before)


def test_dragging_turns_and_the_wheel_comes_nearer(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    open_page(driver, pages(1))
    canvas = driver.find_element("id", "canvas")
    before = call(driver, "viewer.free.position")
    ActionChains(driver).click_and_hold(canvas).move_by_offset(120, 30).release().perform()
    screenshot(driver, tmp_path / "orbit.png")
    turned = call(driver, "viewer.free.position")
    assert np.linalg.norm(np.subtract(turned, before)) > 1.0
    assert driver.find_element("id", "camera").get_property("value") == "free"
    assert not driver.find_element("css selector", "[data-mode=target]").is_enabled()
    distance = call(driver, "viewer.free.distance")
    settle(driver)
    ActionChains(driver).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -400).perform()
    assert call(driver, "viewer.free.distance") < distance
    click(driver, "#fly")
    position = call(driver, "viewer.free.position")
    ActionChains(driver).click_and_hold(canvas).move_by_offset(60, 0).release().perform()
    settle(driver)
    np.testing.assert_allclose(call(driver, "viewer.free.position"), position)


def test_the_keyboard_does_it_all(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains, Keys

    open_page(driver, pages(1))

    def press(*keys: str) -> None:
        ActionChains(driver).send_keys(*keys).perform()
        settle(driver)

    press("2")
    assert pressed(driver, "[data-mode=target]")
    press("]")
    assert driver.find_element("id", "camera").get_property("value") == "1"
    press("1", "f")
    assert pressed(driver, "#fly")
    position = call(driver, "viewer.free.position")
    ActionChains(driver).key_down("w").pause(0.4).key_up("w").perform()
    assert np.linalg.norm(np.subtract(call(driver, "viewer.free.position"), position)) > 0.5
    yaw = call(driver, "viewer.free.yaw")
    ActionChains(driver).key_down(Keys.ARROW_LEFT).pause(0.3).key_up(Keys.ARROW_LEFT).perform()
    assert call(driver, "viewer.free.yaw") > yaw
    press("r")
    screenshot(driver, tmp_path / "fit.png")
    press(Keys.TAB)
    assert driver.execute_script("return document.activeElement.matches('button, select, input, canvas, summary')")


def test_the_slider_lays_the_target_over_the_render(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    open_page(driver, pages(1))
    click(driver, "#legend button:last-child")  # so that render and target are plainly different
    slider = driver.find_element("id", "split")
    ActionChains(driver).move_to_element(slider).click().perform()  # the middle
    settle(driver)
    assert 40 <= int(slider.get_property("value")) <= 60
    assert driver.find_element("id", "divider").is_displayed()
    assert (driver.find_element("id", "divider-left").text, driver.find_element("id", "divider-right").text) == (
        "Target",
        "Render",
    )
    screenshot(driver, tmp_path / "slider.png")


def test_an_empty_world_and_odd_names_open(driver: Any, tmp_path: Path) -> None:
    camera = Camera(look_at((5.0, 5.0, 5.0), (0.0, 0.0, 0.0)), orthographic(4.0, 3.0, 0.0, 20.0), 40, 30, "</script>")
    scene = BlockScene(BlockGrid((2, 2, 2), 2.0, np.zeros((0, 3), int)), np.zeros(0, int), views=(View(camera),))
    write_viewer(tmp_path / "empty.html", scene, "<b>nothing</b> & {{world}}")
    open_page(driver, tmp_path / "empty.html")
    settle(driver)
    assert driver.find_element("id", "counts").text == "0 blocks, 0 exposed faces"
    assert driver.find_element("tag name", "h1").text == "<b>nothing</b> & {{world}}"
    assert "</script>" in driver.find_element("id", "camera").text
    assert (read_picture(driver)[..., :3] == (135, 207, 235)).all()


def test_an_optimisation_leaves_a_viewer_that_compares_before_and_after(driver: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    truth = captured(4)
    scrambled = np.random.default_rng(0).integers(1, len(truth.palette), len(truth.grid)).astype(np.int32)
    truth.with_materials(scrambled).write(tmp_path / "scene")
    assert main(["optimize", "--scene", str(tmp_path / "scene"), "--out", str(out), "--progress", "none"]) == 0
    driver.get((out / "report.html").as_uri())
    driver.find_element("link text", "Walk through the result").click()
    assert call(driver, "viewer.drawing.before !== null") is True
    slider = driver.find_element("id", "split")
    driver.execute_script("arguments[0].value = 50; arguments[0].dispatchEvent(new Event('input'))", slider)
    page = screenshot(driver, tmp_path / "before-after.png")
    labels = [driver.find_element("id", f"divider-{side}").text for side in ("left", "right")]
    assert labels == ["Before", "After"]
    driver.execute_script("arguments[0].value = 0; arguments[0].dispatchEvent(new Event('input'))", slider)
    after = screenshot(driver, tmp_path / "after.png")
    changed = (page != after).any(axis=-1)
    middle = driver.execute_script("const box = canvas.getBoundingClientRect(); return (box.left + box.right) / 2")
    assert changed[:, : int(middle) - 60].mean() > 0.2
    assert changed[60:, int(middle) + 60 : 900].mean() < 0.001


def test_a_browser_without_webgpu_gets_a_clear_message(pages: Callable[[int], Path], tmp_path: Path) -> None:
    need("chromium")
    with browser(webgpu=False) as plain:
        plain.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument",
            {"source": "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })"},
        )
        plain.get(pages(1).as_uri())
        problem = plain.find_element("id", "problem")
        screenshot(plain, tmp_path / "no-webgpu.png")
        assert problem.is_displayed()
        assert "no WebGPU" in problem.text
        assert "Chrome" in problem.text
        assert not plain.find_element("id", "next").is_enabled()


def test_a_lost_device_says_so_and_draws_again(driver: Any, pages: Callable[[int], Path], tmp_path: Path) -> None:
    open_page(driver, pages(1))
    click(driver, "#next")
    click(driver, "#legend button")
    before = read_picture(driver)
    for number in range(2):  # the second device is watched like the first
        driver.execute_script("viewer.then((opened) => opened.drawing.device.destroy())")
        WebDriverWait(driver, 20).until(lambda opened: opened.find_element("id", "problem").is_displayed())
        said = driver.find_element("id", "problem").text
        assert "device was lost" in said
        assert "Chrome" not in said  # another browser is no remedy
        driver.save_screenshot(str(tmp_path / f"lost-{number}.png"))
        driver.find_element("id", "again").click()
        WebDriverWait(driver, 20).until(lambda opened: opened.find_element("id", "canvas").is_displayed())
        assert not driver.find_element("id", "problem").is_displayed()
        settle(driver)
        np.testing.assert_array_equal(read_picture(driver), before)
        assert driver.find_element("id", "camera").get_property("value") == "1"
    click(driver, "[data-mode=target]")
    assert pressed(driver, "[data-mode=target]")
