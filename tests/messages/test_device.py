"""A device goes by the names its owner knows, and by none that whoever asked for the code made up."""

import time

import pytest

from countersign.messages.content.device_name import device_name

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) {WEBKIT} Version/12.1 Mobile/15E148 Safari/604.1", "Safari on iPad"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/17.4 Safari/605.1.15", "Safari on Mac"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {BLINK} Chrome/126.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/126.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        (f"Mozilla/5.0 (Linux; Android 14; SM-S921B) {BLINK} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        ("Mozilla/5.0 (Windows NT 10.0)", "Windows"),
        ("curl/8.5.0", ""),
        ("", ""),
        ("Mozilla/5.0", ""),
        ("Call +1 900 555 0100/1.0 CFNetwork/1490 Darwin/23.0", ""),
        ("Mozilla/5.0 evil.example/1.0 CFNetwork/1490 Darwin/23.0", "iPhone"),
    ],
)  # fmt: skip
def test_a_browser_is_named_as_its_owner_would_call_it(user_agent: str, name: str) -> None:
    assert device_name(user_agent, "en") == name


def test_a_device_is_named_in_the_language_of_the_message() -> None:
    assert (
        device_name("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "de-CH")
        == "Firefox auf Linux"
    )


@pytest.mark.parametrize("part", ["a", "(", ";", " ", "/", "1.", "Android ", "Build/", "Darwin/", "Safari/"])
def test_a_user_agent_made_to_be_slow_is_not(part: str) -> None:
    device_name("Mozilla/5.0", "en")
    began = time.process_time()
    device_name("Mozilla/5.0 " + part * 60_000, "en")
    assert time.process_time() - began < 0.25
