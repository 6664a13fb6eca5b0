"""A reader's whole way through the pages in a real browser, in two languages, without scripts."""

import shutil
import time

import pytest

from webserver import Store, Web, token

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium isn't installed")
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.support import expected_conditions  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402
pytestmark = pytest.mark.skipif(
    not shutil.which("chromedriver") or not shutil.which("chromium"),
    reason="chromium and chromium-driver aren't installed")


@pytest.fixture(name="store")
def fixture_store(cluster, database):
    store = Store(cluster, database)
    yield store
    store.connection.close()


@pytest.fixture(name="browser", params=[("en", 320), ("ar", 1200)], ids=lambda p: f"{p[0]}-{p[1]}")
def fixture_browser(request, tmp_path):
    lang, width = request.param
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--user-data-dir={tmp_path / 'chromium'}", "--no-proxy-server"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {
        "intl.accept_languages": lang, "profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
    browser = webdriver.Chrome(service=service, options=options)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    browser.lang, browser.width = lang, width
    yield browser
    browser.quit()


def check(browser):
    """Nothing is wider than the window, nothing was refused, nothing was kept."""
    assert browser.execute_script("return document.documentElement.scrollWidth") <= browser.width
    root = browser.find_element("tag name", "html")
    assert root.get_attribute("lang") == browser.lang
    assert root.get_attribute("dir") == ("rtl" if browser.lang == "ar" else "ltr")
    card = browser.find_element("css selector", ".card")
    assert card.value_of_css_property("border-top-style") == "solid"  # its style took effect
    refused = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]
               and "422" not in entry["message"]]
    assert refused == []
    assert browser.get_cookies() == []


def visit(browser, url):
    """Opens a page, again while the pages' database isn't there yet (503)."""
    for _ in range(60):
        browser.get(url)
        if browser.execute_script(
                "return performance.getEntriesByType('navigation')[0].responseStatus") != 503:
            return
        time.sleep(0.5)
    raise AssertionError(f"{url} stays unavailable")


def press(browser):
    """Presses the page's button, and waits for the page that answers."""
    before = browser.find_element("tag name", "html")
    browser.find_element("css selector", "button").click()
    # Asked about an element in the moment its page goes, chromedriver knows no better word than "unknown error".
    wait = WebDriverWait(browser, 60, ignored_exceptions=[WebDriverException])
    wait.until(expected_conditions.staleness_of(before))
    wait.until(lambda b: b.execute_script("return document.readyState") == "complete")


def contrasts(browser):
    """The least contrast of any text on the page with what is behind it (WCAG 2.2, 1.4.3)."""
    return browser.execute_script("""
        const part = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 };
        const light = c => .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2]);
        const rgb = s => s.match(/[\\d.]+/g).map(Number);
        const behind = e => { for (; e; e = e.parentElement) {
            const c = rgb(getComputedStyle(e).backgroundColor);
            if (c.length == 3 || c[3] == 1) return c; } return [255, 255, 255]; };
        let least = 99;
        for (const e of document.querySelectorAll('main *, footer *')) {
            if (!e.offsetParent || ![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
            const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
            least = Math.min(least, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
        }
        return least;""")


def test_a_reader_joins_confirms_leaves_and_comes_back(build, store, tmp_path, browser):
    with Web(build, store.dsn, tmp_path) as web:
        base = f"http://{web.where}"
        visit(browser, base + "/")
        check(browser)
        visit(browser, browser.find_element("css selector", "main a").get_attribute("href"))
        check(browser)
        trap = browser.find_element("id", "website")
        assert not trap.is_displayed()

        browser.find_element("id", "email").send_keys("ada@example")
        browser.find_element("id", "name").send_keys("Ada")
        browser.find_element("css selector", "input[value=weekly]").click()
        press(browser)  # "ada@example" is an address
        check(browser)
        (number, gen, name, edition), = store.run(
            """SELECT p.id, token_gen, p.name, e.name FROM subscription s
            JOIN subscriber p ON p.id = s.subscriber JOIN edition e ON e.id = s.edition""")
        assert (name, edition) == ("Ada", "weekly")

        visit(browser, base + "/c/" + token("c", store.list, number, gen, time.time() + 3600))
        check(browser)
        assert store.status(number) == "pending"
        press(browser)
        check(browser)
        assert store.status(number) == "active"

        visit(browser, base + "/u/" + token("u", store.list, number))
        check(browser)
        assert store.status(number) == "active"
        press(browser)
        check(browser)
        assert store.status(number) == "unsubscribed"
        press(browser)
        check(browser)
        assert store.status(number) == "active"
        assert browser.current_url.endswith("/undo")


def test_what_is_wrong_is_told_beside_its_field(build, store, tmp_path, browser):
    with Web(build, store.dsn, tmp_path) as web:
        visit(browser, f"http://{web.where}/l/news")
        browser.find_element("id", "email").send_keys("ada..b@example.org")
        browser.find_element("id", "name").send_keys("Ada & <b>")
        press(browser)
        check(browser)
        email = browser.find_element("id", "email")
        told = browser.find_element("id", email.get_attribute("aria-describedby"))
        assert told.is_displayed() and told.text
        assert email.get_attribute("value") == "ada..b@example.org"
        assert browser.find_element("id", "name").get_attribute("value") == "Ada & <b>"
        assert store.run("SELECT count(*) FROM subscriber") == [(0,)]


@pytest.mark.parametrize("browser", [("en", 320)], indirect=True, ids=["en-320"])
def test_all_text_can_be_read(build, store, tmp_path, browser):
    link = "/u/" + token("u", store.list, store.reader())
    with Web(build, store.dsn, tmp_path) as web:
        web.post(link)
        for accent in ("", "#ffcc00", "#777777", "#767676", "#0b7a3b", "#c2410c"):
            store.run("""UPDATE list SET postal_address = 'Quay 1', settings =
                jsonb_build_object('colors', jsonb_build_object('accent', %s))""", accent)
            for scheme in ("light", "dark"):
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                    "features": [{"name": "prefers-color-scheme", "value": scheme}]})
                for path in ("/", "/l/news", link, "/none"):
                    visit(browser, f"http://{web.where}{path}")
                    assert contrasts(browser) >= 4.5, (path, scheme, accent)
