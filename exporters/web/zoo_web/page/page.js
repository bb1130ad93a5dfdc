// What happens when the page is opened: load the bundle, show what it can do, or check it.

import { Bundle, bytesOf, jsonOf, loadRuntime } from "./bundle.js";
import { showCheck } from "./check.js";
import { showLatent } from "./latent.js";
import { tensorsOf } from "./safetensors.js";
import { showSearch } from "./search.js";
import { inEachLanguage, say, switchLanguage, writeFixedText } from "./words.js";

const state = document.getElementById("state");
const checking = new URLSearchParams(location.search).has("check");

if (checking) {
  const elsewhere = document.getElementById("elsewhere");
  elsewhere.href = "./";
  elsewhere.dataset.word = "back_link";
}
document.getElementById("language").addEventListener("click", switchLanguage);
inEachLanguage(() => {
  writeFixedText();
  const button = document.getElementById("language");
  button.textContent = say("switch_to");
  button.lang = button.textContent === "English" ? "en" : "zh";
});

/** Show a message until the page is ready. */
let message = ["loading", {}];
const tell = (...next) => {
  message = next;
  state.textContent = say(...message);
};
inEachLanguage(() => tell(...message));

try {
  const [manifest, content] = await Promise.all([jsonOf("manifest.json"), jsonOf("page.json")]);
  document.title = document.getElementById("name").textContent = content.name;
  try {
    const bundle = new Bundle(await loadRuntime(), manifest);
    inEachLanguage(() => writeFooter(bundle, content));
    await show(bundle, content);
    document.body.dataset.state = "ready";
  } catch (error) {
    if (error.name !== "RuntimeMissing") throw error;
    tell("missing", { version: content.onnxruntime_web });
    document.body.dataset.state = "missing";
  }
} catch (error) {
  tell("failed", { reason: error.message ?? String(error) });
  document.body.dataset.state = "failed";
}

async function show(bundle, content) {
  if (checking) {
    state.hidden = true;
    await showCheck(bundle);
    return;
  }
  const arrays = tensorsOf(await bytesOf("page.safetensors"));
  if (!content.search && !content.latent) {
    tell("nothing");
    return;
  }
  if (content.search) await showSearch(bundle, content.search, arrays);
  if (content.latent) await showLatent(bundle, content.latent, arrays);
  state.hidden = true;
}

function writeFooter(bundle, content) {
  const { name, license } = bundle.manifest.origin;
  const lines = [
    ["footer_weights", { name, license: license || say("not_stated") }],
    ["footer_data", { license: content.data_license || say("not_stated") }],
    ["footer_runtime", { version: bundle.runtime }],
  ];
  document.getElementById("footer").replaceChildren(
    ...lines.map(([word, values]) => {
      const line = document.createElement("p");
      line.textContent = say(word, values);
      return line;
    }),
  );
}
