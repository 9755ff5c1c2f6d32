"""A browser that is on this machine, to print a page."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_SEC = 120


def find_browser() -> str | None:
    """Path of a Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def browse(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Open a page in a headless browser with a profile of its own, and wait until it ends.

    Raises:
        InputError: if there is no browser, or it fails.
    """
    browser = find_browser()
    if browser is None:
        raise InputError("no Chromium or Chrome on this machine; install one, or print the page from yours")
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *_FLAGS, f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_SEC)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[-1:] or ["no message"]
            raise InputError(f"{browser} could not open {page}: {reason[0]}") from None
        except subprocess.TimeoutExpired:
            raise InputError(f"{browser} did not finish {page} in {_PATIENCE_SEC} s") from None


def print_pdf(page: Path) -> Path:
    """Print a page to a PDF beside it.

    Raises:
        InputError: if there is no browser, it fails, or the file cannot be written.
    """
    out = page.with_suffix(".pdf")
    with atomic_path(out) as temporary:
        browse(page, "--no-pdf-header-footer", f"--print-to-pdf={temporary.resolve()}")
    return out
