"""Headless Chromium with WebGPU drawn by SwiftShader, as tests use it."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.parts import chromium

_WEBGPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
)
_READ = """
const done = arguments[0];
const encode = (picture) => {
  let text = "";
  for (let at = 0; at < picture.data.length; at += 32768) {
    text += String.fromCharCode(...picture.data.subarray(at, at + 32768));
  }
  done([picture.width, picture.height, btoa(text)]);
};
viewer.then((viewer) => viewer.picture()).then(encode, (error) => done(String(error)));
"""


@contextmanager
def browser(webgpu: bool = True) -> Iterator[Any]:
    """Opens a browser; closes it again."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium() or ""
    flags = ["--headless=new", "--window-size=1280,860", "--disable-gpu-sandbox", *(_WEBGPU if webgpu else ())]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    for flag in flags:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_script_timeout(60)
        yield driver
    finally:
        driver.quit()


def open_page(driver: Any, page: Path) -> None:
    """Opens a viewer page from its file and waits until it has drawn."""
    driver.get(page.as_uri())
    problem = call(driver, "viewer.drawing.device.queue.onSubmittedWorkDone()")
    assert problem is None, problem


def call(driver: Any, expression: str) -> Any:
    """Evaluates a JavaScript expression of ``viewer``, waits for it, and returns what comes of it."""
    return driver.execute_async_script(
        "const done = arguments[0];"
        f"viewer.then((viewer) => {expression}).then((value) => done(value ?? null), (error) => done(String(error)));"
    )


def settle(driver: Any) -> None:
    """Waits until what was done last is drawn."""
    driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"
    )


def read_picture(driver: Any) -> npt.NDArray[np.uint8]:
    """Reads the world's picture back from the GPU, (H, W, 4) uint8."""
    answer = driver.execute_async_script(_READ)
    assert isinstance(answer, list), answer
    width, height, data = answer
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
