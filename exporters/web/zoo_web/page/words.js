// The texts of the page, in English and Chinese.

const WORDS = {
  en: {
    loading: "Loading the model…",
    nothing: "This bundle has no graph that this page can show. Its parity can be checked.",
    missing:
      "onnxruntime-web is missing. Run npm install onnxruntime-web@{version} and copy ort.wasm.min.mjs, ort-wasm-simd-threaded.mjs and ort-wasm-simd-threaded.wasm from node_modules/onnxruntime-web/dist beside this page.",
    failed: "This does not work: {reason}",
    search_title: "Find it by a word",
    search_label: "Type what you are looking for",
    search_label_in: "Type what you are looking for, in {languages}",
    search_try: "Try",
    search_found: "The nearest {shown} of {count} to “{text}”",
    search_alike: "The nearest {shown} of {count} to the picture of “{text}”",
    search_none: "Type something.",
    search_unseen:
      "○ marks things that the model never saw in training; in {share} of cases, searching for their name shows them among the first {shown}. Click one to find similar ones.",
    search_all_seen: "Click one to find similar ones.",
    latent_title: "Slide through the latent",
    latent_note:
      "A latent of {count} numbers determines a picture. The dimensions that change it most come first, measured on {rows} pictures that the model never saw.",
    latent_random: "Random",
    latent_back: "Back to the start",
    latent_starts: "Start from a real picture",
    latent_dimension: "Dimension {place}",
    latent_share: "{share} of the change",
    latent_more: "Show all {count}",
    latent_fewer: "Show fewer",
    latent_decoded: "{name}, decoded",
    check_link: "Check",
    check_title: "Are the results correct?",
    check_what:
      "Each graph runs here, in your browser, on the cases that were recorded at the export. Each row of a result is compared with a float64 computation. The tolerance is that of the export: 100 % is the limit.",
    check_graph: "Graph",
    check_cases: "Cases",
    check_used: "Fraction of the tolerance used",
    check_error: "Largest error",
    check_running: "Checking {graph}…",
    check_passed: "All {count} graphs agree.",
    check_failed: "{failed} of {count} graphs do not agree.",
    check_files: "All {count} files are those of the manifest.",
    check_files_wrong: "Files that differ from the manifest: {files}.",
    back_link: "Back",
    footer_weights: "Weights of {name}: {license}",
    footer_data: "Data and pictures, shown resized: {license}",
    footer_runtime: "Runs in your browser on onnxruntime-web {version}; nothing you type leaves it.",
    not_stated: "licence not stated",
    switch_to: "中文",
  },
  zh: {
    loading: "正在加载模型…",
    nothing: "本页无法展示此模型包中的计算图，但可以检验其一致性。",
    missing:
      "缺少 onnxruntime-web。请运行 npm install onnxruntime-web@{version}，并将 node_modules/onnxruntime-web/dist 中的 ort.wasm.min.mjs、ort-wasm-simd-threaded.mjs 和 ort-wasm-simd-threaded.wasm 复制到本页所在的文件夹。",
    failed: "出错了：{reason}",
    search_title: "用词语搜索",
    search_label: "输入要找的内容",
    search_label_in: "输入要找的内容（{languages}）",
    search_try: "试试",
    search_found: "{count} 个中与“{text}”最接近的 {shown} 个",
    search_alike: "{count} 个中与“{text}”的图片最接近的 {shown} 个",
    search_none: "请输入文字。",
    search_unseen: "○ 表示模型在训练中从未见过；按其名称搜索，{share} 的情况下它排在前 {shown} 名。点击可查找相似的。",
    search_all_seen: "点击可查找相似的。",
    latent_title: "在潜空间中滑动",
    latent_note: "{count} 维的潜变量决定一幅图片。影响最大的维度排在最前，依据是 {rows} 幅模型从未见过的图片。",
    latent_random: "随机",
    latent_back: "回到起点",
    latent_starts: "从真实图片开始",
    latent_dimension: "维度 {place}",
    latent_share: "占变化的 {share}",
    latent_more: "显示全部 {count} 个",
    latent_fewer: "收起",
    latent_decoded: "解码得到的 {name}",
    check_link: "检验",
    check_title: "答案正确吗？",
    check_what:
      "每个计算图都在您的浏览器中运行导出时记录的样例，并逐行与 float64 的结果比较。允许的误差与导出时相同：100 % 即为上限。",
    check_graph: "计算图",
    check_cases: "样例数",
    check_used: "已用容差",
    check_error: "最大误差",
    check_running: "正在检验 {graph}…",
    check_passed: "全部 {count} 个计算图均一致。",
    check_failed: "{count} 个计算图中有 {failed} 个不一致。",
    check_files: "全部 {count} 个文件均与清单一致。",
    check_files_wrong: "与清单不一致：{files}。",
    back_link: "返回",
    footer_weights: "{name} 的权重：{license}",
    footer_data: "数据与图片（已调整大小）：{license}",
    footer_runtime: "由 onnxruntime-web {version} 在您的浏览器中运行，输入的内容不会离开浏览器。",
    not_stated: "未注明许可",
    switch_to: "English",
  },
};

const told = [];
let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

/** Return the language of the page, "en" or "zh". */
export function currentLanguage() {
  return language;
}

/** Return a text of the page, with {names} filled in. */
export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Return a fraction as a percentage, as the language writes it. */
export function percent(share) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);
}

/** Return a whole number, as the language writes it. */
export function whole(number) {
  return new Intl.NumberFormat(language).format(number);
}

/** Do something now and whenever the language changes. */
export function inEachLanguage(write) {
  told.push(write);
  write();
}

/** Fill in all fixed text; called again by ``switchLanguage``. */
export function writeFixedText() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
}

/** Change to the other language. */
export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  for (const write of told) write();
}
