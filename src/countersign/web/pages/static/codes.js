// Codes to keep: copied and printed by a button, where the browser can.

const told = document.getElementById("told");

for (const one of document.querySelectorAll("[data-copies]")) {
  const from = document.getElementById(one.dataset.copies);
  const label = one.textContent;
  one.hidden = false;
  one.addEventListener("click", async () => {
    const text = from.value ?? [...from.querySelectorAll("code")].map((code) => code.textContent).join("\n");
    let said = one.dataset.done;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      said = one.dataset.failed;
    }
    one.textContent = told.textContent = said;
    setTimeout(() => { one.textContent = label; told.textContent = ""; }, 3000);
  });
}

for (const one of document.querySelectorAll("[data-prints]")) {
  one.hidden = false;
  one.addEventListener("click", () => print());
}
