// Opens a page in headless Chromium and does what the lines of JSON on stdin say; answers each by a line of JSON.
//
// {"goto": url, "locale": "zh-CN", "scheme": "dark", "width": 390}, {"resize": [width, height]}, {"press": key},
// {"fill": [selector, text]}, {"focus": selector}, {"click": selector}, {"read": expression}, {"until": expression},
// {"picture": path, "full": true}, {"complaints": 0}

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, chromium] = process.argv.slice(2);
const { chromium: driver } = createRequire(`${modules}/`)("playwright-core");
const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const alone = ["--no-sandbox", "--disable-component-update", "--disable-sync"];
const browser = await driver.launch({ executablePath: chromium, args: [...quiet, ...alone] });
const timeout = 60_000;
let page;
let complaints = [];

const steps = {
  async goto(url, { locale = "en-US", scheme = "light", width = 1200, height = 800 }) {
    await page?.context().close();
    complaints = [];
    const viewport = { width, height };
    page = await (await browser.newContext({ locale, colorScheme: scheme, viewport })).newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (said) => ["error", "warning"].includes(said.type()) && complaints.push(said.text()));
    page.on("request", (request) => request.url().startsWith(new URL("./", url).href) || complaints.push(request.url()));
    await page.goto(url);
    await page.waitForFunction(() => document.body.dataset.state, null, { timeout });
    return page.evaluate(() => document.body.dataset.state);
  },
  fill: ([selector, text]) => page.fill(selector, text),
  press: (key) => page.keyboard.press(key),
  focus: (selector) => page.focus(selector),
  click: (selector) => page.click(selector),
  resize: ([width, height]) => page.setViewportSize({ width, height }),
  read: (expression) => page.evaluate(expression),
  until: (expression) => page.waitForFunction(expression, null, { timeout }).then(() => true),
  picture: (path, { full = false }) => page.screenshot({ path, fullPage: full }).then(() => true),
  complaints: () => complaints,
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const [step] = Object.keys(asked);
  let answer;
  try {
    answer = { found: (await steps[step](asked[step], asked)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
