// The parity of the bundle, measured again in this browser: every graph on its recorded cases, row by row.

import { bytesOf } from "./bundle.js";
import { tensorsOf } from "./safetensors.js";
import { inEachLanguage, percent, say } from "./words.js";

const REFERENCE = "reference.safetensors";

/** Return the recorded cases of every file, by its name without suffix: {inputs, expected, allowed}, arrays by name. */
export function casesOf(reference) {
  const cases = {};
  for (const [key, array] of Object.entries(reference)) {
    const [file, number, part, ...name] = key.split("/");
    const numbered = ((cases[file] ??= {})[number] ??= { inputs: {}, expected: {}, allowed: {} });
    numbered[part][name.join("/")] = array;
  }
  return Object.fromEntries(Object.entries(cases).map(([file, numbered]) => [file, Object.values(numbered)]));
}

/** Compare one output with float64, row by row; return the fraction of the tolerance that was used, and the largest error.
 *
 * Raises an error if the type, the shape, or the places of NaN and infinity differ, or if a row exceeds the tolerance.
 */
export function compare(name, found, expected, allowed, dtype) {
  if (!found) throw new Error(`${name}: there is no such output`);
  if (found.dtype !== dtype || String(found.shape) !== String(expected.shape)) {
    throw new Error(`${name}: expected ${dtype} [${expected.shape}], got ${found.dtype} [${found.shape}]`);
  }
  const rows = expected.shape[0] ?? 1;
  const width = rows ? expected.data.length / rows : 0;
  const worst = { used: 0, error: 0 };
  for (let row = 0; row < rows; row += 1) {
    let error = 0;
    for (let place = row * width; place < (row + 1) * width; place += 1) {
      const want = Number(expected.data[place]);
      const got = Number(found.data[place]);
      if (Number.isFinite(want)) {
        const apart = Math.abs(got - want);
        if (!(apart <= error)) error = apart; // NaN stays
      } else if (!Object.is(got, want)) {
        throw new Error(`${name}, row ${row}: NaN or infinity is in another place`);
      }
    }
    const most = Number(allowed.data[row]);
    if (!(error <= most)) {
      throw new Error(`${name}, row ${row}: differs by ${error.toPrecision(3)}, allowed is ${most.toPrecision(3)}`);
    }
    worst.used = Math.max(worst.used, most > 0 ? error / most : 0);
    worst.error = Math.max(worst.error, error);
  }
  return worst;
}

/** Check every graph and every file, and write the table as it grows. */
export async function showCheck(bundle) {
  const section = document.getElementById("check");
  const verdict = document.getElementById("verdict");
  const body = document.getElementById("graphs");
  section.hidden = false;
  body.replaceChildren();
  const cases = casesOf(tensorsOf(await bytesOf(REFERENCE)));
  const reports = [];
  for (const { graph, file } of bundle.files) {
    const name = file.replace(/\.onnx$/, "");
    verdict.textContent = say("check_running", { graph: name });
    const report = await checked(bundle, name, file, bundle.manifest.graphs[graph].outputs, cases[name] ?? []);
    reports.push(report);
    body.append(rowOf(report));
    await new Promise((resume) => setTimeout(resume)); // let the table be drawn
  }
  const failed = reports.filter((report) => report.reason).length;
  const wrong = await changedFiles(bundle.manifest.files);
  verdict.dataset.state = failed || wrong?.length ? "failed" : "passed";
  inEachLanguage(() => {
    verdict.textContent = say(failed ? "check_failed" : "check_passed", { failed, count: reports.length });
    document.getElementById("files").textContent =
      wrong === null
        ? ""
        : wrong.length
          ? say("check_files_wrong", { files: wrong.join(", ") })
          : say("check_files", { count: Object.keys(bundle.manifest.files).length });
    for (const report of reports) report.write();
  });
}

async function checked(bundle, name, file, outputs, cases) {
  const report = { name, cases: cases.length, used: 0, error: 0, reason: "" };
  try {
    if (!cases.length) throw new Error(`${REFERENCE} has no cases of it`);
    for (const { inputs, expected, allowed } of cases) {
      const found = await bundle.runFile(file, inputs);
      for (const [output, { dtype }] of Object.entries(outputs)) {
        const { used, error } = compare(output, found[output], expected[output], allowed[output], dtype);
        report.used = Math.max(report.used, used);
        report.error = Math.max(report.error, error);
      }
    }
    await bundle.release(file);
  } catch (error) {
    report.reason = String(error.message ?? error);
  }
  return report;
}

/** Return the files whose sha256 is not the manifest's; null if the browser cannot compute hashes, as on an insecure origin. */
async function changedFiles(files) {
  if (!globalThis.crypto?.subtle) return null;
  const wrong = [];
  for (const [name, { sha256 }] of Object.entries(files)) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await bytesOf(name)));
    const found = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (found !== sha256) wrong.push(name);
  }
  return wrong;
}

function rowOf(report) {
  const row = document.createElement("tr");
  Object.assign(row.dataset, { graph: report.name, state: report.reason ? "failed" : "passed", used: report.used });
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = report.name;
  const [cases, used, error] = ["number", "", "number"].map((kind) => {
    const cell = document.createElement("td");
    cell.className = kind;
    return cell;
  });
  cases.textContent = report.cases;
  if (report.reason) {
    used.colSpan = 2;
    used.className = "wrong";
    used.textContent = report.reason;
    row.append(name, cases, used);
  } else {
    error.textContent = report.error.toExponential(1);
    row.append(name, cases, used, error);
  }
  report.write = () => {
    if (report.reason) return;
    const meter = document.createElement("meter");
    Object.assign(meter, { min: 0, max: 1, value: report.used });
    meter.setAttribute("aria-hidden", "true");
    const share = document.createElement("span");
    share.textContent = percent(report.used);
    const both = document.createElement("span");
    both.className = "used";
    both.append(meter, share);
    used.replaceChildren(both);
  };
  report.write();
  return row;
}
